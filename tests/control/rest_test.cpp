// SPDX-License-Identifier: Apache-2.0
// Real requests against real and broken servers: which message of the catalogue comes out.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "control/conference/rest_client.h"
#include "tests/control/web_phone.h"

namespace conclave::control::test {
namespace {

RestResponse ask(RestClient& client, const std::string& url, int timeout_ms = 3000) {
  std::promise<RestResponse> answer;
  RestRequest request;
  request.url = url;
  request.timeout = std::chrono::milliseconds(timeout_ms);
  client.send(request, [&](RestResponse response) { answer.set_value(std::move(response)); });
  return answer.get_future().get();
}

/// A listening socket that does one unfriendly thing to whoever comes.
class BrokenServer {
 public:
  enum class Does { kClose, kNothing };
  explicit BrokenServer(Does what) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::listen(fd_, 4);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    if (what == Does::kClose) {
      thread_ = std::thread([this] {
        for (;;) {
          const int peer = ::accept(fd_, nullptr, nullptr);
          if (peer < 0) return;
          ::close(peer);
        }
      });
    }
  }
  ~BrokenServer() {
    ::shutdown(fd_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    ::close(fd_);
  }
  std::string url() const { return "https://127.0.0.1:" + std::to_string(port_) + "/"; }

 private:
  int fd_ = -1;
  int port_ = 0;
  std::thread thread_;
};

TEST(Rest, F135_a_closed_port_is_950) {
  RestClient client;
  EXPECT_EQ(ask(client, "https://127.0.0.1:1/x").failure->id, "NET-950");
}

TEST(Rest, F135_a_name_that_does_not_exist_is_953) {
  RestClient client;
  EXPECT_EQ(ask(client, "https://no-such-host.invalid/x").failure->id, "NET-953");
}

TEST(Rest, F135_a_server_that_says_nothing_is_954) {
  const BrokenServer server(BrokenServer::Does::kNothing);
  RestClient client;
  EXPECT_EQ(ask(client, server.url(), 400).failure->id, "NET-954");
}

TEST(Rest, F58_a_broken_handshake_is_955_or_951) {
  const BrokenServer server(BrokenServer::Does::kClose);
  RestClient client;
  const std::string id = ask(client, server.url()).failure->id;
  EXPECT_TRUE(id == "TLS-955" || id == "NET-951") << id;
}

TEST(Rest, only_https_is_spoken) {
  RestClient client;
  EXPECT_TRUE(ask(client, "http://127.0.0.1:1/x").failure.has_value());
  EXPECT_TRUE(ask(client, "file:///etc/passwd").failure.has_value());
}

TEST(Rest, F136_proxy_failures_are_958_and_960) {
  RestClient client;
  RestConfig config;
  config.proxy = "http://127.0.0.1:1";
  client.configure(config);
  EXPECT_EQ(ask(client, "https://192.0.2.1/x").failure->id, "PROXY-958");
  config.proxy = "http://no-such-proxy.invalid:8080";
  client.configure(config);
  EXPECT_EQ(ask(client, "https://192.0.2.1/x").failure->id, "PROXY-960");
}

TEST(Rest, a_cancelled_request_is_not_answered_and_the_end_does_not_wait) {
  const BrokenServer server(BrokenServer::Does::kNothing);
  std::atomic<int> answers{0};
  const auto begin = std::chrono::steady_clock::now();
  {
    RestClient client;
    RestRequest request;
    request.url = server.url();
    const auto id = client.send(request, [&](const RestResponse&) { ++answers; });
    client.cancel(id);
    client.send(request, [&](const RestResponse&) { ++answers; });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(answers, 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

using RestAgainstPhone = WebPhone;

TEST_F(RestAgainstPhone, F134_an_unknown_ca_is_955_and_the_right_one_is_trusted) {
  RestClient client;
  const std::string url = "https://127.0.0.1:" + std::to_string(port()) + "/api/v1/openapi.json";
  const auto refused = ask(client, url);
  ASSERT_TRUE(refused.failure.has_value());
  EXPECT_EQ(refused.failure->id, "TLS-955");
  RestConfig config;
  config.ca_file = folder_.path() + "/web-cert.pem";
  client.configure(config);
  EXPECT_EQ(ask(client, url).status, 200);
  // The right CA and the wrong name is no better than a wrong CA.
  RestRequest request;
  const auto wrong_name =
      ask(client, "https://127.0.0.2:" + std::to_string(port()) + "/api/v1/openapi.json");
  EXPECT_TRUE(wrong_name.failure.has_value());
}

}  // namespace
}  // namespace conclave::control::test
