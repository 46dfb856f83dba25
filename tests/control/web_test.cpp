// SPDX-License-Identifier: Apache-2.0
// The real web server over real TLS: login, WebSocket, and what hostile clients send.
#include <chrono>
#include <thread>

#include "tests/control/web_phone.h"

namespace conclave::control::test {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

TEST_F(WebPhone, F42_serves_pages_by_https_with_security_headers) {
  const auto page = http(port(), "GET", "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_NE(page.body.find("<html"), std::string::npos);
  EXPECT_NE(page.headers.at("content-security-policy").find("default-src 'none'"),
            std::string::npos);
  EXPECT_EQ(page.headers.at("x-content-type-options"), "nosniff");
  EXPECT_EQ(page.headers.at("x-frame-options"), "DENY");
  EXPECT_EQ(page.headers.at("cache-control"), "no-cache");
  EXPECT_EQ(http(port(), "GET", "/panel").status, 200);
  EXPECT_EQ(http(port(), "GET", "/none.js").status, 404);
  const auto head = http(port(), "HEAD", "/");
  EXPECT_EQ(head.status, 200);
}

TEST_F(WebPhone, F45_login_with_the_factory_values) {
  EXPECT_EQ(http(port(), "GET", "/api/v1/session").status, 401);
  const auto answer = login("admin", "1739");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(Json::parse(answer.body),
            Json({{"user", "admin"}, {"role", "admin"}, {"must_change_password", true}}));
  const std::string set = answer.headers.at("set-cookie");
  for (const char* part : {"__Host-session=", "HttpOnly", "Secure", "SameSite=Strict", "Path=/"}) {
    EXPECT_NE(set.find(part), std::string::npos) << part;
  }
  const std::string cookie = "Cookie: " + set.substr(0, set.find(';')) + "\r\n";
  EXPECT_EQ(http(port(), "GET", "/api/v1/session", cookie).status, 200);
  EXPECT_EQ(http(port(), "POST", "/api/v1/logout", cookie).status, 200);
  EXPECT_EQ(http(port(), "GET", "/api/v1/session", cookie).status, 401);
}

TEST_F(WebPhone, guessing_is_locked_out_with_a_growing_wait) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(login("admin", "wrong").status, 401);
  const auto locked = login("admin", "1739");
  EXPECT_EQ(locked.status, 429);
  EXPECT_FALSE(locked.headers.at("retry-after").empty());
  EXPECT_FALSE(Json::parse(locked.body)["error"]["message"].get<std::string>().empty());
}

TEST_F(WebPhone, login_refuses_what_is_no_login) {
  EXPECT_EQ(http(port(), "GET", "/api/v1/login").status, 405);
  EXPECT_EQ(http(port(), "POST", "/api/v1/login", "Content-Type: text/plain\r\n", "{}").status,
            415);
  const std::string json = "Content-Type: application/json\r\n";
  EXPECT_EQ(http(port(), "POST", "/api/v1/login", json, "{").status, 400);
  EXPECT_EQ(http(port(), "POST", "/api/v1/login", json, "[]").status, 400);
  EXPECT_EQ(http(port(), "POST", "/api/v1/login", json, "{\"user\":1,\"password\":2}").status, 400);
  EXPECT_EQ(http(port(), "POST", "/api/v1/login", json, std::string(70000, ' ')).status, 413);
  EXPECT_EQ(login("admin", "1739", "Origin: https://evil.example\r\n").status, 403);
  EXPECT_EQ(login("admin", "1739", "Sec-Fetch-Site: cross-site\r\n").status, 403);
}

TEST_F(WebPhone, hostile_http_is_refused) {
  const auto raw = [this](const std::string& text) {
    TlsClient client(port());
    return http_on(client, text).status;
  };
  const std::string host = "Host: 127.0.0.1:" + std::to_string(port()) + "\r\n";
  EXPECT_EQ(raw("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 421);
  EXPECT_NE(raw("GET / HTTP/1.1\r\n\r\n"), 200);
  EXPECT_NE(raw("GET / HTTP/1.1\r\n" + host + "Host: evil.example\r\n\r\n"), 200);
  EXPECT_EQ(raw("POST /api/v1/login HTTP/1.1\r\n" + host +
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400);
  EXPECT_EQ(raw("POST /api/v1/login HTTP/1.1\r\n" + host +
                "Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}   "),
            400);
  for (const char* path : {"/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
                           "/..%2f..%2fetc/passwd", "/assets/..%5c..%5cetc/passwd", "/%00"}) {
    EXPECT_EQ(http(port(), "GET", path).body.find("root:"), std::string::npos) << path;
  }
  EXPECT_NE(raw("DELETE / HTTP/1.1\r\n" + host + "\r\n"), 200);
  EXPECT_NE(raw("TRACE / HTTP/1.1\r\n" + host + "\r\n"), 200);
  EXPECT_NE(raw("GET / HTTP/1.1\r\n" + host + "X: " + std::string(20000, 'a') + "\r\n\r\n"), 200);
  EXPECT_NE(raw(std::string(300, '\xff') + "\r\n\r\n"), 200);
  EXPECT_EQ(http(port(), "GET", "/").status, 200);  // and it still stands
}

TEST_F(WebPhone, connections_are_used_again) {
  TlsClient client(port());
  const std::string get =
      "GET /api/v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port()) + "\r\n\r\n";
  for (int i = 0; i < 5; ++i) {
    const auto answer = http_on(client, get);
    ASSERT_EQ(answer.status, 200);
    ASSERT_EQ(Json::parse(answer.body)["openapi"], "3.1.0");
  }
}

TEST_F(WebPhone, recordings_and_metrics_need_a_login) {
  EXPECT_EQ(http(port(), "GET", "/api/v1/recordings/raw.wav").status, 401);
  EXPECT_EQ(http(port(), "GET", "/metrics").status, 401);
  const std::string cookie = "Cookie: " + this->cookie() + "\r\n";
  const auto wav = http(port(), "GET", "/api/v1/recordings/sent.wav?seconds=2", cookie);
  ASSERT_EQ(wav.status, 200);
  EXPECT_EQ(wav.headers.at("content-type"), "audio/wav");
  EXPECT_EQ(wav.body.size(), 44U + 2 * 2 * 48000);
  for (const char* wrong : {"0", "31", "x", "-1", "2x"}) {
    EXPECT_EQ(
        http(port(), "GET", std::string("/api/v1/recordings/raw.wav?seconds=") + wrong, cookie)
            .status,
        400)
        << wrong;
  }
  const auto metrics = http(port(), "GET", "/metrics", cookie);
  EXPECT_EQ(metrics.status, 200);
  EXPECT_NE(metrics.body.find("conclave_engine_blocks_total"), std::string::npos);
  settings_.apply(Layer::kLocal, {{"Web.Metrics.Token", "monitor-token"}});
  EXPECT_EQ(http(port(), "GET", "/metrics", "Authorization: Bearer monitor-token\r\n").status, 200);
  EXPECT_EQ(http(port(), "GET", "/metrics", "Authorization: Bearer monitor-tokem\r\n").status, 401);
}

TEST_F(WebPhone, socket_needs_login_origin_version_and_subprotocol) {
  const std::string cookie = this->cookie();
  EXPECT_TRUE(WebSocket(port(), cookie).open());
  EXPECT_EQ(WebSocket(port(), "").status(), 401);
  EXPECT_EQ(WebSocket(port(), "__Host-session=guess").status(), 401);
  EXPECT_EQ(WebSocket(port(), cookie, {{"Origin", "https://evil.example"}}).status(), 403);
  EXPECT_EQ(WebSocket(port(), cookie, {{"Origin", ""}}).status(), 403);
  EXPECT_EQ(WebSocket(port(), cookie, {{"Sec-WebSocket-Version", "12"}}).status(), 426);
  EXPECT_FALSE(WebSocket(port(), cookie, {{"Sec-WebSocket-Protocol", ""}}).open());
  EXPECT_FALSE(WebSocket(port(), cookie, {{"Sec-WebSocket-Protocol", "other"}}).open());
  EXPECT_FALSE(WebSocket(port(), cookie, {{"Host", "evil.example"}}).open());
  EXPECT_FALSE(WebSocket(port(), cookie, {{"path", "/elsewhere"}}).open());
}

TEST_F(WebPhone, socket_sends_snapshot_patches_and_meters) {
  WebSocket socket(port(), cookie());
  ASSERT_TRUE(socket.open());
  const auto first = socket.text_with("state.snapshot");
  ASSERT_TRUE(first);
  const Json params = Json::parse(*first)["params"];
  EXPECT_EQ(params["state"]["call"]["state"], "idle");
  EXPECT_EQ(params["state"]["device"]["name"], "Conference phone");
  auto revision = params["rev"].get<std::uint64_t>();
  int meters = 0;
  const auto begin = Clock::now();
  while (Clock::now() - begin < std::chrono::seconds(2)) {
    const auto message = socket.next(200);
    if (!message) continue;
    if (message->opcode == 2) {
      EXPECT_EQ(message->data.size(), 70U);
      ++meters;
    } else if (message->opcode == 1) {
      const Json patch = Json::parse(message->data);
      ASSERT_EQ(patch["method"], "state.patch");
      ASSERT_EQ(patch["params"]["rev"].get<std::uint64_t>(), ++revision);
    }
  }
  EXPECT_GE(meters, 30);  // 20 Hz
  EXPECT_LE(meters, 44);
}

TEST_F(WebPhone, a_change_reaches_the_socket_within_50_ms) {
  WebSocket socket(port(), cookie());
  ASSERT_TRUE(socket.text_with("state.snapshot"));
  std::vector<double> times;
  for (int i = 0; i < 40; ++i) {
    const std::string mark = "mark-" + std::to_string(i);
    const auto begin = Clock::now();
    phone_->loop().post([&] { phone_->state().publish({{"device", {{"name", mark}}}}); });
    ASSERT_TRUE(socket.text_with(mark, 1000));
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  std::sort(times.begin(), times.end());
  RecordProperty("p50_us", static_cast<int>(times[times.size() / 2] * 1000));
  EXPECT_LT(times[times.size() * 9 / 10], 50.0);
  std::printf("[ FIGURES  ] state to socket: p50 %.2f ms, p90 %.2f ms, max %.2f ms\n",
              times[times.size() / 2], times[times.size() * 9 / 10], times.back());
}

TEST_F(WebPhone, F105_methods_answer_and_errors_carry_cause_and_remedy) {
  WebSocket socket(port(), cookie());
  socket.text(rpc(1, "ping", {{"t", 42}}));
  const auto pong = socket.text_with("\"id\":1");
  ASSERT_TRUE(pong);
  EXPECT_EQ(Json::parse(*pong)["result"]["t"], 42);
  socket.text(rpc(2, "call.join", {{"passcode", "246810"}}));
  ASSERT_TRUE(socket.text_with("\"active\""));
  socket.text(rpc(3, "call.mute", {{"muted", true}}));
  ASSERT_TRUE(socket.text_with("\"muted\":true"));
  EXPECT_TRUE(audio_.muted);
  socket.text(rpc(4, "call.join", {{"passcode", "x"}}));
  const auto refused = socket.text_with("\"id\":4");
  ASSERT_TRUE(refused);
  const Json error = Json::parse(*refused)["error"];
  EXPECT_EQ(error["code"], -32000);
  EXPECT_EQ(error["data"]["id"], "IN-PASSCODE");
  EXPECT_FALSE(error["data"]["remedy"].get<std::string>().empty());
  socket.text(rpc(5, "errors.list"));
  const auto errors = socket.text_with("\"id\":5");
  ASSERT_TRUE(errors);
  EXPECT_EQ(Json::parse(*errors)["result"].size(), 54U);
}

TEST_F(WebPhone, F46_settings_are_listed_in_groups_and_set_with_checks) {
  WebSocket socket(port(), cookie());
  socket.text(rpc(1, "settings.list"));
  const auto list = socket.text_with("\"id\":1");
  ASSERT_TRUE(list);
  const Json rows = Json::parse(*list)["result"];
  EXPECT_GT(rows.size(), 90U);
  for (const Json& row : rows) {
    for (const char* key : {"name", "title", "type", "value", "layer", "locked", "default", "unit",
                            "range", "secret", "group", "help"}) {
      ASSERT_TRUE(row.contains(key)) << row["name"] << key;
    }
  }
  socket.text(rpc(2, "settings.set", {{"values", {{"Dvms.Proxy.Port", 0}, {"Log.Level", "x"}}}}));
  const auto refused = socket.text_with("\"id\":2");
  ASSERT_TRUE(refused);
  EXPECT_EQ(Json::parse(*refused)["error"]["data"].size(), 2U);
  socket.text(rpc(3, "settings.set", {{"values", {{"DVMS.Proxy.Server", "proxy.example.com"}}}}));
  const auto done = socket.text_with("\"id\":3");
  ASSERT_TRUE(done);
  EXPECT_EQ(Json::parse(*done)["result"]["applied"], Json::array({"Dvms.Proxy.Address"}));
}

TEST_F(WebPhone, resync_answers_with_the_whole_state_and_goes_on) {
  WebSocket socket(port(), cookie());
  ASSERT_TRUE(socket.text_with("state.snapshot"));
  socket.text(rpc(7, "state.resync"));
  const auto answer = socket.text_with("\"id\":7");
  ASSERT_TRUE(answer);
  const Json result = Json::parse(*answer)["result"];
  EXPECT_EQ(result["state"]["call"]["state"], "idle");
  phone_->loop().post([&] { phone_->state().publish({{"device", {{"name", "after"}}}}); });
  const auto patch = socket.text_with("after");
  ASSERT_TRUE(patch);
  EXPECT_GT(Json::parse(*patch)["params"]["rev"], result["rev"]);
}

TEST_F(WebPhone, a_changed_password_ends_the_other_logins) {
  const std::string mine = cookie();
  WebSocket other(port(), cookie());
  WebSocket socket(port(), mine);
  ASSERT_TRUE(other.text_with("state.snapshot"));
  socket.text(rpc(1, "settings.set", {{"values", {{"Access.Admin.Password", "a better one"}}}}));
  ASSERT_TRUE(socket.text_with("\"id\":1"));
  std::optional<WebSocket::Message> message;
  const auto until = Clock::now() + std::chrono::seconds(4);
  while (Clock::now() < until && !other.closed()) {
    message = other.next(500);
    if (message && message->opcode == 8) break;
  }
  ASSERT_TRUE(message && message->opcode == 8);
  EXPECT_EQ(message->close_code(), 4401);
  EXPECT_EQ(login("admin", "1739").status, 401);
  const auto now = login("admin", "a better one");
  EXPECT_EQ(now.status, 200);
  EXPECT_EQ(Json::parse(now.body)["must_change_password"], false);
  EXPECT_EQ(http(port(), "GET", "/api/v1/session", "Cookie: " + mine + "\r\n").status, 200);
}

class HostileSocket : public WebPhone {
 protected:
  /// Whether the phone ends the connection after this.
  bool ends(const std::function<void(WebSocket&)>& attack) {
    WebSocket socket(port(), cookie());
    EXPECT_TRUE(socket.text_with("state.snapshot"));
    attack(socket);
    const auto until = Clock::now() + std::chrono::seconds(3);
    while (Clock::now() < until && !socket.closed()) {
      const auto message = socket.next(300);
      if (message && message->opcode == 8) return true;
    }
    return socket.closed();
  }
};

TEST_F(HostileSocket, binary_and_reserved_and_too_long_messages_end_the_connection) {
  EXPECT_TRUE(ends([](WebSocket& s) { s.frame(0x82, "binary"); }));
  EXPECT_TRUE(ends([](WebSocket& s) { s.frame(0xc1, "{}"); }));
  EXPECT_TRUE(ends([](WebSocket& s) { s.frame(0x81, std::string(70000, ' ')); }));
  EXPECT_TRUE(ends([](WebSocket& s) {
    s.frame(0x01, std::string(40000, ' '));
    s.frame(0x80, std::string(40000, ' '));
  }));
  EXPECT_TRUE(ends([](WebSocket& s) { s.frame(0x81, "\xff\xfe{}"); }));
}

TEST_F(HostileSocket, reserved_opcodes_end_the_connection) {
  EXPECT_TRUE(ends([](WebSocket& s) { s.frame(0x83, "x"); }));
  EXPECT_TRUE(ends([](WebSocket& s) { s.frame(0x8b, "x"); }));
}

TEST_F(HostileSocket, unmasked_frames_end_the_connection) {
  EXPECT_TRUE(ends([](WebSocket& s) { s.frame(0x81, "{}", false); }));
  EXPECT_TRUE(ends([](WebSocket& s) {
    s.text(rpc(1, "ping"));
    s.frame(0x89, "", false);
  }));
}

TEST_F(HostileSocket, broken_control_frames_end_the_connection) {
  EXPECT_TRUE(ends([](WebSocket& s) { s.frame(0x89, std::string(126, 'p')); }));
  EXPECT_TRUE(ends([](WebSocket& s) { s.frame(0x09, "part"); }));
  EXPECT_TRUE(ends([](WebSocket& s) { s.raw().send(std::string("\x81\xfe\x00\x02mask{}", 10)); }));
}

TEST_F(HostileSocket, frames_before_the_answer_are_refused) {
  const std::string host = "127.0.0.1:" + std::to_string(port());
  TlsClient client(port());
  const auto answer = http_on(
      client, "GET /api/v1/socket HTTP/1.1\r\nHost: " + host + "\r\nOrigin: https://" + host +
                  "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  "Sec-WebSocket-Protocol: conclave.v1\r\nCookie: " +
                  cookie() + "\r\n\r\n" + std::string("\x81\x82mask", 6));
  EXPECT_NE(answer.status, 101);
}

TEST_F(HostileSocket, pings_and_fragments_are_served) {
  WebSocket socket(port(), cookie());
  socket.frame(0x89, "hello");
  const std::string text = rpc(5, "ping");
  socket.frame(0x01, text.substr(0, 10));
  socket.frame(0x89, "between");
  socket.frame(0x80, text.substr(10));
  EXPECT_TRUE(socket.text_with("\"id\":5"));
}

TEST_F(HostileSocket, garbage_is_answered_as_json_rpc_says) {
  WebSocket socket(port(), cookie());
  socket.text("{");
  EXPECT_TRUE(socket.text_with("-32700"));
  socket.text(std::string(60000, '['));
  EXPECT_TRUE(socket.text_with("-32700"));
  socket.text("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no\"}");
  EXPECT_TRUE(socket.text_with("-32601"));
}

TEST_F(HostileSocket, a_flood_of_requests_is_answered_in_full_without_a_queue_that_grows) {
  WebSocket socket(port(), cookie());
  for (int i = 1; i <= 300; ++i) socket.text(rpc(i, "ping"));
  int answers = 0;
  const auto until = Clock::now() + std::chrono::seconds(15);
  while (answers < 300 && Clock::now() < until) {
    const auto message = socket.next(1000);
    if (message && message->opcode == 1 &&
        message->data.find("server_time_ms") != std::string::npos)
      ++answers;
  }
  EXPECT_EQ(answers, 300);
}

TEST_F(HostileSocket, clients_that_never_read_do_not_slow_the_others) {
  const std::string cookie = this->cookie();
  std::vector<std::unique_ptr<WebSocket>> sleepers;
  for (int i = 0; i < 20; ++i) sleepers.push_back(std::make_unique<WebSocket>(port(), cookie));
  WebSocket awake(port(), cookie);
  ASSERT_TRUE(awake.text_with("state.snapshot"));
  for (int i = 0; i < 200; ++i) {
    phone_->loop().post([this, i] {
      phone_->state().publish({{"x", {{"n", i}, {"pad", std::string(4000, 'x')}}}});
    });
  }
  phone_->loop().post([this] { phone_->state().publish({{"device", {{"name", "the end"}}}}); });
  EXPECT_TRUE(awake.text_with("the end", 3000));
}

}  // namespace
}  // namespace conclave::control::test
