// SPDX-License-Identifier: Apache-2.0
// Whatever a provisioning server or console sends: nothing of it is half in force, the phone goes
// on, and the report says which line and why.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/integration/service/provisioning_fixture.h"

namespace conclave::service {
namespace {

using control::Key;
using control::test::eventually;
using Json = nlohmann::json;

constexpr const char* kHead = "conclave-configuration 1\n";

struct BadConfiguration : ProvisionedPhone {
  /// A phone that has a good configuration.
  void SetUp() override {
    ProvisionedPhone::SetUp();
    set({{"Provisioning.Sync.Events", false}});
    site(std::string(kHead) + "[site]\nDevice.Name = Good\nDevice.Language = de\n");
    configure(Json::object());
    start_phone();
    ASSERT_TRUE(state_is("ready"));
    report();
    before_values = values();
  }
  /// All values but those that tell how the last look at the server went.
  Json values() {
    Json out = settings.export_values();
    return out;
  }
  /// What the server hears of a site's file: "file:line: why".
  std::string said_of(const std::string& text) {
    std::ofstream(service_folder.path("provisioning/site-default.conf")) << text;
    const auto count = reports();
    ask("provisioning.resync");
    const Json told = report(count + 1);
    EXPECT_EQ(told.at("verdict"), "refused") << told;
    EXPECT_EQ(values(), before_values) << "nothing of it may be in force";
    EXPECT_TRUE(state_is("waiting"));
    EXPECT_EQ(tree().at("last_report").at("verdict"), "refused");
    EXPECT_TRUE(tree().contains("error"));
    const Json problem = told.at("problems").at(0);
    return problem.at("file").get<std::string>() + ":" + std::to_string(problem.value("line", 0)) +
           ": " + problem.at("why").get<std::string>();
  }
  void recovers() {
    site(std::string(kHead) + "[site]\nDevice.Name = Mended\n");
    ask("provisioning.resync");
    EXPECT_TRUE(state_is("ready")) << tree().dump(1);
    EXPECT_TRUE(eventually([&] { return settings.get_text(Key::kDeviceName) == "Mended"; }));
  }
  Json before_values;
};

TEST_F(BadConfiguration, each_kind_is_refused_whole_and_reported_with_its_line) {
  const std::string good = std::string(kHead) + "[site]\nDevice.Name = Bad\n";
  const std::pair<std::string, std::string> cases[] = {
      {good + "No.Such.Setting = 1\n", "site-default.conf:4: "},
      {good + "Audio.Agc.Target = loud\n", "site-default.conf:4: "},
      {good + "Audio.Agc.Target = 99\n", "site-default.conf:4: "},
      {good + "Network.Services.SSHEnabled = perhaps\n", "site-default.conf:4: "},
      {good + "device.name = Twice\n", "site-default.conf:4: stands twice, first in line 3"},
      {good + "Device.Language = d", "site-default.conf:4: the last line has no end"},
      {good + "nonsense\n", "site-default.conf:4: "},
      {good + "[local]\nDevice.Language = fr\n", "site-default.conf:4: [local]"},
      {std::string(kHead) + "include phone.conf\n" + "[site]\nDevice.Name = Bad\n",
       "site-default.conf:2: phone.conf includes itself"},
      {std::string(kHead) + "include site-default.conf\n",
       "site-default.conf:2: site-default.conf includes itself"},
      {std::string(kHead) + "include ../../etc/passwd\n",
       "site-default.conf:2: ../../etc/passwd: an include is the plain name"},
      {"hello\n", "site-default.conf:1: the first line"},
      {std::string("\x00\x01\xff", 3), "site-default.conf:0: the file is not UTF-8 text"},
      {"", "site-default.conf:0: the file is empty"},
  };
  for (const auto& [text, why] : cases) {
    const std::string said = said_of(text);
    EXPECT_EQ(said.rfind(why, 0), 0u) << said << "\nfor\n" << text;
  }
  recovers();
}

TEST_F(BadConfiguration, a_file_older_than_the_one_in_force_is_refused) {
  before = [](const HttpRequest& request) -> std::optional<HttpAnswer> {
    if (!request.path.ends_with("phone.conf")) return std::nullopt;
    HttpAnswer answer;
    answer.content_type = "text/plain";
    answer.body = std::string(kHead) + "revision 2\n[site]\nDevice.Name = Old\n";
    return answer;
  };
  ask("provisioning.resync");
  const Json told = report(2);
  EXPECT_EQ(told.at("verdict"), "refused");
  EXPECT_NE(told.at("problems")[0].at("why").get<std::string>().find("is older than"),
            std::string::npos);
  EXPECT_EQ(values(), before_values);
}

TEST_F(BadConfiguration, a_hundred_megabytes_are_not_read_to_the_end) {
  auto huge = std::make_shared<std::string>(std::string(kHead) + "[site]\nDevice.Name = Huge\n#");
  huge->resize(100'000'000, 'x');
  before = [huge](const HttpRequest& request) -> std::optional<HttpAnswer> {
    if (!request.path.ends_with("site-default.conf")) return std::nullopt;
    HttpAnswer answer;
    answer.content_type = "text/plain";
    answer.body = *huge;
    return answer;
  };
  ask("provisioning.resync");
  const Json told = report(2);
  EXPECT_EQ(told.at("verdict"), "refused");
  EXPECT_EQ(told.at("problems")[0].at("why"), "the file is larger than 1 MiB");
  EXPECT_EQ(told.at("problems")[0].at("file"), "site-default.conf");
  EXPECT_EQ(values(), before_values);
  before = nullptr;
  recovers();
}

TEST_F(BadConfiguration, a_thousand_includes_end) {
  std::atomic<int> served{0};
  before = [&served](const HttpRequest& request) -> std::optional<HttpAnswer> {
    if (request.method != HttpMethod::kGet) return std::nullopt;
    HttpAnswer answer;
    answer.content_type = "text/plain";
    answer.body = kHead;
    for (int i = 0; i < 1000; ++i) answer.body += "include f" + std::to_string(i) + "\n";
    answer.body += "include g" + std::to_string(++served) + "\n";
    return answer;
  };
  ask("provisioning.resync");
  EXPECT_EQ(report(2).at("verdict"), "refused");
  EXPECT_LT(served.load(), 60);
  EXPECT_EQ(values(), before_values);
}

TEST_F(BadConfiguration, the_wrong_signature_is_refused_and_the_right_one_taken) {
  ProvisioningConfig config;
  config.sign = true;
  start_service(config);
  report();
  set({{"Provisioning.Config.SigningKey", desk->public_key_file()}});
  site(std::string(kHead) + "[site]\nDevice.Name = Signed\n");
  ask("provisioning.resync");
  ASSERT_TRUE(eventually([&] { return settings.get_text(Key::kDeviceName) == "Signed"; }))
      << tree().dump(1);
  EXPECT_EQ(report(2).at("verdict"), "applied");
  before_values = values();
  const std::string forged = std::string(kHead) + "[site]\nDevice.Name = Forged\n";
  EXPECT_NE(
      said_of(forged + "signature ed25519 " + std::string(86, 'A') + "==\n").find("signature"),
      std::string::npos);
  start_service({});  // no signature at all
  ask("provisioning.resync");
  EXPECT_TRUE(eventually([&] { return tree()["last_report"].value("verdict", "") == "refused"; }));
  EXPECT_EQ(values(), before_values);
}

TEST_F(BadConfiguration, F135_bad_answers_of_the_server_leave_the_phone_as_it_is) {
  const std::pair<const char*, const char*> cases[] = {
      {"endless", ""},
      {"slow", "NET-954"},
      {"no-answer", "NET-954"},
      {"close", "NET-951"},
      {"wrong-type", "JOIN-984"},
      {"not-json", "JOIN-984"},
      {"redirect-loop", "JOIN-982"},
      {"redirect-http", "NET-957"},
      {"SVC-TEMP", "SVC-TEMP"},
      {"ACT-404", "ACT-404"},
      {"JOIN-UNABLE", "JOIN-UNABLE"},
  };
  for (const auto& [fault, id] : cases) {
    ASSERT_TRUE(state_is("ready")) << tree().dump(1);
    // A connection that breaks is made once more by HTTP itself.
    ASSERT_TRUE(
        faults
            .order(fault, serial, std::string(fault) == "close" ? 2 : 1, FaultStage::kProvisioning)
            .ok());
    std::string seen;
    ask("provisioning.resync");
    ASSERT_TRUE(eventually(
        [&] {
          const Json now = tree();
          if (!now.contains("error")) return false;
          seen = now["error"].value("id", "none");
          return true;
        },
        10'000))
        << fault;
    // Too much is a file that cannot be used; the rest never was a file.
    EXPECT_EQ(seen == "none" ? "" : seen, id) << fault;
    EXPECT_EQ(values(), before_values) << fault;
    faults.cancel();
    ask("provisioning.resync");
  }
}

struct BadConsole : ProvisionedPhone {};

TEST_F(BadConsole, F35_F135_bad_answers_of_the_console_lead_to_the_next_way) {
  set({{"Provisioning.Discovery.DnsSrv", false}});
  configure(Json::object());
  const std::pair<const char*, const char*> cases[] = {
      {"endless", "NET-951"},       {"slow", "NET-954"},      {"close", "NET-951"},
      {"wrong-type", "JOIN-984"},   {"not-json", "JOIN-984"}, {"redirect-loop", "JOIN-982"},
      {"redirect-http", "NET-957"}, {"ACT-423", "ACT-423"},
  };
  for (const auto& [fault, id] : cases) {
    ASSERT_TRUE(faults.order(fault, serial, 1000, FaultStage::kConsole).ok());
    start_phone();
    ASSERT_TRUE(state_is("address_wanted", 10'000)) << fault << tree().dump(1);
    EXPECT_EQ(tree()["ways"]["plug_and_play"]["error"].value("id", "none"), id) << fault;
    stop_phone();
    faults.cancel();
  }
}

TEST_F(BadConsole, what_a_console_says_is_checked) {
  set({{"Provisioning.Discovery.DnsSrv", false}});
  std::string body;
  std::string location;
  int status = 200;
  before = [&](const HttpRequest& request) -> std::optional<HttpAnswer> {
    if (!request.path.starts_with("/console")) return std::nullopt;
    HttpAnswer answer;
    answer.status = status;
    answer.body = body;
    answer.location = location;
    return answer;
  };
  for (const auto& [code, text, where] :
       {std::tuple<int, std::string, std::string>{200, R"({"providers":[]})", ""},
        {200, R"({"providers":[{"id":"../x","name":"n"}]})", ""},
        {200, R"({"providers":[{"id":"x","name":""}]})", ""},
        {200, R"({"providers":{"id":"x"}})", ""},
        {200, "[[[[[[[[[[]]]]]]]]]]", ""},
        {307, R"({"address":"http://127.0.0.1/p"})", "http://127.0.0.1/p"},
        {307, R"({"address":"https://u:p@h/"})", ""},
        {307, "", ""}}) {
    status = code;
    body = text;
    location = where;
    start_phone();
    EXPECT_TRUE(state_is("address_wanted")) << text << tree().dump(1);
    EXPECT_EQ(way("plug_and_play"), "impossible") << text;
    stop_phone();
  }
}

/// A proxy that lets through who has the right name and password, CONNECT and Basic alone.
class BasicProxy {
 public:
  BasicProxy() {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(fd_, 16);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      while (true) {
        const int peer = ::accept(fd_, nullptr, nullptr);
        if (peer < 0) return;
        relays_.emplace_back([this, peer] { relay(peer); });
      }
    });
  }
  ~BasicProxy() {
    stopping_ = true;
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    for (auto& relay : relays_) relay.join();
    ::close(fd_);
  }
  int port() const { return port_; }
  int passed() const { return passed_; }
  int refused() const { return refused_; }

 private:
  void relay(int peer) {
    std::string head;
    char byte = 0;
    while (head.find("\r\n\r\n") == std::string::npos && head.size() < 4096 &&
           ::recv(peer, &byte, 1, 0) == 1) {
      head += byte;
    }
    // "room:open sesame" in base64.
    if (head.find("Proxy-Authorization: Basic cm9vbTpvcGVuIHNlc2FtZQ==") == std::string::npos) {
      ++refused_;
      const std::string no =
          "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic "
          "realm=\"lab\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      ::send(peer, no.data(), no.size(), MSG_NOSIGNAL);
      ::close(peer);
      return;
    }
    ++passed_;
    const auto colon = head.find(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(head.substr(colon + 1))));
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address);
    const std::string yes = "HTTP/1.1 200 OK\r\n\r\n";
    ::send(peer, yes.data(), yes.size(), MSG_NOSIGNAL);
    char buffer[4096];
    bool open = true;
    while (open && !stopping_) {
      pollfd both[] = {{peer, POLLIN, 0}, {server, POLLIN, 0}};
      ::poll(both, 2, 100);
      for (int i = 0; i < 2; ++i) {
        if (both[i].revents == 0) continue;
        const ssize_t n = ::recv(both[i].fd, buffer, sizeof buffer, 0);
        open =
            n > 0 && ::send(both[1 - i].fd, buffer, static_cast<std::size_t>(n), MSG_NOSIGNAL) == n;
        if (!open) break;
      }
    }
    ::close(peer);
    ::close(server);
  }
  int fd_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> passed_{0}, refused_{0};
  std::vector<std::thread> relays_;
  std::thread thread_;
};

struct ByProxy : ProvisionedPhone {};

TEST_F(ByProxy, F24_F28_F59_F62_setup_goes_through_the_proxy_that_was_typed) {
  BasicProxy proxy;
  configure({{"Device.Name", "Behind"}});
  set({{"Dvms.Proxy.Address", "127.0.0.1"},
       {"Dvms.Proxy.Port", proxy.port()},
       {"Dvms.Proxy.User", "room"},
       {"Dvms.Proxy.Password", "wrong"},
       {"Provisioning.Discovery.DnsSrv", false}});
  start_phone();
  ASSERT_TRUE(state_is("address_wanted")) << tree().dump(1);
  EXPECT_EQ(tree()["ways"]["plug_and_play"].at("error").at("id"), "PROXY-962");
  EXPECT_EQ(times_asked("redirect"), 0);
  set({{"Dvms.Proxy.Password", "open sesame"}});
  ASSERT_TRUE(state_is("ready")) << tree().dump(1);
  EXPECT_GT(proxy.passed(), 0);
  EXPECT_EQ(settings.get_text(Key::kDeviceName), "Behind");
  EXPECT_EQ(control::export_configuration(settings).find("sesame"), std::string::npos);
}

}  // namespace
}  // namespace conclave::service
