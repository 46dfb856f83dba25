// SPDX-License-Identifier: Apache-2.0
#include "service/https_server.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "service/lab_ca.h"
#include "tests/support/temp_folder.h"

namespace conclave::service {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// A TLS connection that sends just what a test says.
class Raw {
 public:
  explicit Raw(int port) : context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_)) {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    timeval limit{8, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    SSL_set_fd(ssl_, fd_);
  }
  ~Raw() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    close(fd_);
  }
  bool handshake() { return connected_ && SSL_connect(ssl_) == 1; }
  bool send(const std::string& text) {
    return SSL_write(ssl_, text.data(), static_cast<int>(text.size())) > 0;
  }
  /// All until the end of the connection (or of patience).
  std::string rest() {
    std::string out;
    char buffer[4096];
    for (int n; (n = SSL_read(ssl_, buffer, sizeof buffer)) > 0;)
      out.append(buffer, static_cast<std::size_t>(n));
    return out;
  }
  std::string some() {
    char buffer[4096];
    const int n = SSL_read(ssl_, buffer, sizeof buffer);
    return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : std::string();
  }

 private:
  SSL_CTX* context_;
  SSL* ssl_;
  int fd_ = -1;
  bool connected_ = false;
};

struct Https : testing::Test {
  static inline std::optional<test::TempFolder> folder;
  static inline LabCertificates files;
  std::unique_ptr<HttpsServer> server;
  std::atomic<int> asked{0};
  std::atomic<bool> news{false};
  std::string seen_path, seen_query, seen_bearer, seen_body;

  static void SetUpTestSuite() {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    files = *ensure_lab_certificates(folder.emplace().path(), {"localhost", "127.0.0.1"});
  }
  static void TearDownTestSuite() { folder.reset(); }

  void SetUp() override {
    HttpsConfig config;
    config.certificate_file = files.certificate_file;
    config.key_file = files.key_file;
    config.max_body_bytes = 1000;
    config.request_timeout_s = 2;
    config.max_connections = 20;
    config.browser_path = "/page";
    auto started = HttpsServer::start(config, [this](const HttpRequest& request) {
      ++asked;
      if (request.path == "/wait" && !news.load() && !request.final) {
        HttpAnswer later;
        later.wait_s = 2;
        return later;
      }
      seen_path = request.path;
      seen_query = request.query;
      seen_bearer = request.bearer;
      seen_body = request.body;
      HttpAnswer bad;
      bad.body = R"({"ok":true})";
      bad.conduct = request.path == "/close"     ? HttpAnswer::Conduct::kClose
                    : request.path == "/silent"  ? HttpAnswer::Conduct::kSilent
                    : request.path == "/endless" ? HttpAnswer::Conduct::kEndless
                    : request.path == "/slow"    ? HttpAnswer::Conduct::kSlow
                                                 : HttpAnswer::Conduct::kProper;
      if (bad.conduct != HttpAnswer::Conduct::kProper) return bad;
      return request.path == "/empty" ? HttpAnswer{204, ""} : HttpAnswer{200, R"({"ok":true})"};
    });
    ASSERT_TRUE(started.ok()) << started.error().message;
    server = std::move(*started);
  }

  struct Reply {
    long status = 0;
    std::string body;
    CURLcode code = CURLE_OK;
    long connects = 0;
  };
  Reply request(const std::string& method, const std::string& path, const std::string& body = {},
                const std::vector<std::string>& headers = {}, CURL* reuse = nullptr,
                const std::string& host = "localhost") {
    CURL* curl = reuse != nullptr ? reuse : curl_easy_init();
    Reply reply;
    curl_slist* list = nullptr;
    if (!body.empty()) list = curl_slist_append(list, "Content-Type: application/json");
    for (const auto& h : headers) list = curl_slist_append(list, h.c_str());
    const std::string url = "https://" + host + ":" + std::to_string(server->port()) + path;
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_IPRESOLVE, CURL_IPRESOLVE_V4);
    curl_easy_setopt(curl, CURLOPT_CAINFO, files.ca_file.c_str());
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method.c_str());
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
    if (!body.empty()) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.c_str());
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply.body);
    curl_easy_setopt(
        curl, CURLOPT_WRITEFUNCTION, +[](char* data, std::size_t size, std::size_t n, void* out) {
          static_cast<std::string*>(out)->append(data, size * n);
          return size * n;
        });
    reply.code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
    curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &reply.connects);
    curl_slist_free_all(list);
    if (reuse == nullptr) curl_easy_cleanup(curl);
    return reply;
  }
  std::string head(const std::string& start) const {
    return start + " HTTP/1.1\r\nHost: localhost:" + std::to_string(server->port()) + "\r\n";
  }
};

TEST_F(Https, F120_rest_over_https) {
  const auto reply =
      request("POST", "/a/b?since=4&wait=2", R"({"x":1})", {"Authorization: Bearer secret-token"});
  EXPECT_EQ(reply.code, CURLE_OK) << curl_easy_strerror(reply.code);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, R"({"ok":true})");
  EXPECT_EQ(seen_path, "/a/b");
  EXPECT_EQ(seen_query, "since=4&wait=2");
  EXPECT_EQ(seen_bearer, "secret-token");
  EXPECT_EQ(seen_body, R"({"x":1})");
  EXPECT_EQ(request("DELETE", "/empty").status, 204);
  EXPECT_EQ(request("GET", "/x").status, 200);
}

TEST_F(Https, connections_are_used_again_after_good_requests) {
  CURL* curl = curl_easy_init();
  EXPECT_EQ(request("GET", "/1", "", {}, curl).connects, 1);
  EXPECT_EQ(request("GET", "/2", "", {}, curl).connects, 0);
  EXPECT_EQ(request("POST", "/3", "{}", {}, curl).status, 200);
  curl_easy_cleanup(curl);
}

TEST_F(Https, a_foreign_ca_is_noticed_by_the_client) {
  const std::string good = files.ca_file;
  files.ca_file = files.certificate_file + ".none";
  EXPECT_NE(request("GET", "/").code, CURLE_OK);
  files.ca_file = good;
}

TEST_F(Https, wrong_methods_hosts_and_browsers_are_refused) {
  EXPECT_EQ(request("PUT", "/a", "{}").status, 405);
  EXPECT_EQ(request("PATCH", "/a", "{}").status, 405);
  EXPECT_EQ(request("OPTIONS", "/a").status, 405);
  EXPECT_EQ(request("GET", "/a", "", {"Host: evil.example"}).status, 421);
  EXPECT_EQ(request("GET", "/a", "", {"Host: localhost.evil.example"}).status, 421);
  EXPECT_EQ(request("GET", "/a", "", {"Origin: https://evil.example"}).status, 403);
  EXPECT_EQ(
      request("POST", "/a", "x=1", {"Content-Type: application/x-www-form-urlencoded"}).status,
      415);
  EXPECT_EQ(asked.load(), 0);
}

TEST_F(Https, own_pages_may_ask_at_their_place_alone) {
  const std::string own = "Origin: https://localhost:" + std::to_string(server->port());
  EXPECT_EQ(request("GET", "/page", "", {own}).status, 200);
  EXPECT_EQ(request("GET", "/page/x", "", {own}).status, 200);
  EXPECT_EQ(request("GET", "/pages", "", {own}).status, 403);
  EXPECT_EQ(request("GET", "/a", "", {own}).status, 403) << "pages have business at one place only";
  for (const char* foreign :
       {"Origin: https://evil.example", "Origin: null", "Origin: http://localhost",
        "Origin: https://localhost", "Origin: https://localhost:1"}) {
    EXPECT_EQ(request("GET", "/page", "", {foreign}).status, 403) << foreign;
  }
  EXPECT_EQ(asked.load(), 2);
}

TEST_F(Https, too_long_a_body_is_refused) {
  EXPECT_EQ(request("POST", "/a", std::string(1001, ' ')).status, 413);
  EXPECT_EQ(request("POST", "/a", std::string(1000, ' ')).status, 200);
  const auto huge = request("POST", "/a", std::string(3'000'000, ' '), {"Expect:"});
  EXPECT_TRUE(huge.status == 413 || huge.code != CURLE_OK) << huge.status;
  EXPECT_EQ(asked.load(), 1);
  EXPECT_EQ(request("GET", "/a").status, 200);
}

TEST_F(Https, smuggled_framing_is_refused) {
  const auto ask_raw = [this](const std::string& text) {
    Raw raw(server->port());
    EXPECT_TRUE(raw.handshake());
    raw.send(text);
    return raw.rest();
  };
  const std::string json = "Content-Type: application/json\r\n";
  const std::string second = head("GET /second") + "\r\n";
  const int before = asked.load();
  auto answer =
      ask_raw(head("POST /a") + json +
              "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second);
  EXPECT_EQ(answer.find("200"), std::string::npos) << answer;
  answer = ask_raw(head("POST /a") + json + "Transfer-Encoding: chunked\r\n\r\n");
  EXPECT_NE(answer.find("501"), std::string::npos) << answer;
  answer = ask_raw(head("POST /a") + json + "\r\n");
  EXPECT_NE(answer.find("411"), std::string::npos) << answer;
  answer = ask_raw(head("POST /a") + json + "\r\n" + second);
  EXPECT_EQ(answer.find("200"), std::string::npos) << answer;
  answer = ask_raw(head("POST /a") + json + "Content-Length: -1\r\n\r\n" + second);
  EXPECT_EQ(answer.find("200"), std::string::npos) << answer;
  answer =
      ask_raw(head("POST /a") + json + "Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}" + second);
  EXPECT_EQ(answer.find("200"), std::string::npos) << answer;
  answer = ask_raw("GET /a HTTP/1.1\r\n\r\n");
  EXPECT_NE(answer.find("421"), std::string::npos) << answer;
  EXPECT_EQ(asked.load(), before);
  EXPECT_EQ(seen_path, "");
}

TEST_F(Https, path_traversal_reaches_no_other_path) {
  for (const char* path : {"/../../etc/passwd", "/a/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
                           "/a/%2e%2e/b", "//etc/passwd", "/a%00b"}) {
    const auto reply = request("GET", path);
    EXPECT_EQ(seen_path.find(".."), std::string::npos) << path << " " << reply.status;
    EXPECT_EQ(reply.body.find("root:"), std::string::npos);
  }
}

TEST_F(Https, slow_clients_are_cut_off) {
  const auto start = Clock::now();
  Raw silent(server->port());  // never shakes hands
  Raw head_only(server->port());
  ASSERT_TRUE(head_only.handshake());
  head_only.send("GET /a HTTP/1.1\r\nHost: local");
  Raw dripping(server->port());
  ASSERT_TRUE(dripping.handshake());
  dripping.send(head("POST /a") + "Content-Type: application/json\r\nContent-Length: 900\r\n\r\n");
  std::thread drip([&] {
    for (int i = 0; i < 25; ++i) {
      if (!dripping.send(" ")) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  });
  EXPECT_EQ(head_only.rest(), "");
  EXPECT_LT(seconds_since(start), 6.0);
  drip.join();
  EXPECT_EQ(dripping.rest(), "");
  EXPECT_EQ(asked.load(), 0);
  EXPECT_EQ(request("GET", "/a").status, 200);
}

TEST_F(Https, long_poll_answers_at_once_when_told) {
  auto start = Clock::now();
  EXPECT_EQ(request("GET", "/wait").status, 200);  // nothing happens: at the end of its time
  EXPECT_GT(seconds_since(start), 1.5);
  Reply reply;
  double took = 0;
  std::thread waiting([&] {
    const auto begin = Clock::now();
    reply = request("GET", "/wait");
    took = seconds_since(begin);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  news = true;
  server->notify();
  waiting.join();
  EXPECT_EQ(reply.status, 200);
  EXPECT_LT(took, 1.5);
}

TEST_F(Https, a_poller_that_leaves_is_forgotten) {
  {
    Raw raw(server->port());
    ASSERT_TRUE(raw.handshake());
    raw.send(head("GET /wait") + "\r\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  news = true;
  server->notify();
  EXPECT_EQ(request("GET", "/a").status, 200);
}

TEST_F(Https, misbehaviour_on_order_and_good_requests_after_it) {
  EXPECT_EQ(request("GET", "/close").code, CURLE_GOT_NOTHING);
  {
    Raw silent(server->port());
    ASSERT_TRUE(silent.handshake());
    silent.send(head("GET /silent") + "\r\n");
    Raw slow(server->port());
    ASSERT_TRUE(slow.handshake());
    slow.send(head("GET /slow") + "\r\n");
    const auto start = Clock::now();
    std::string got;
    while (got.find("\r\n\r\n{\"o") == std::string::npos && seconds_since(start) < 8) {
      got += slow.some();
    }
    EXPECT_NE(got.find("content-length: 11"), std::string::npos) << got;
    EXPECT_GT(seconds_since(start), 1.5) << "a byte a second";
  }
  const auto endless = request("GET", "/endless");
  EXPECT_EQ(endless.status, 200);
  EXPECT_GE(endless.body.size(), 16u * 1024 * 1024);
  EXPECT_EQ(request("GET", "/a").status, 200);
}

TEST_F(Https, connections_are_limited) {
  std::vector<std::unique_ptr<Raw>> many;
  many.reserve(30);
  for (int i = 0; i < 30; ++i) many.push_back(std::make_unique<Raw>(server->port()));
  many.clear();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(request("GET", "/a").status, 200);
}

}  // namespace
}  // namespace conclave::service
