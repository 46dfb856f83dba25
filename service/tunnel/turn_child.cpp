// SPDX-License-Identifier: Apache-2.0
#include "service/tunnel/turn_child.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <future>
#include <sstream>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/durable_file.h"
#include "base/log.h"
#include "service/server_child.h"

namespace conclave::service {
namespace {

constexpr const char* kLog = "service.tunnel";
constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kReadyWithin = 5000 * kMs;
constexpr std::int64_t kLongestPause = 5000 * kMs;

std::string find_turnserver() {
  const char* path = std::getenv("PATH");
  std::stringstream folders(std::string(path != nullptr ? path : "") + ":/usr/bin:/usr/local/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string candidate = folder + "/turnserver";
    if (!folder.empty() && access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

struct Socket {
  sockaddr_storage storage{};
  socklen_t size = 0;
};
Socket address_of(const std::string& literal, int port) {
  Socket out;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
  if (inet_pton(AF_INET, literal.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<std::uint16_t>(port));
    out.size = sizeof *v4;
  } else if (inet_pton(AF_INET6, literal.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<std::uint16_t>(port));
    out.size = sizeof *v6;
  }
  return out;
}

int free_port(const std::string& literal, int type) {
  const Socket address = address_of(literal, 0);
  const int fd = socket(address.storage.ss_family, type | SOCK_CLOEXEC, 0);
  Socket bound = address;
  int port = 0;
  if (fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&bound.storage), bound.size) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&bound.storage), &bound.size) == 0) {
    port = ntohs(bound.storage.ss_family == AF_INET
                     ? reinterpret_cast<sockaddr_in*>(&bound.storage)->sin_port
                     : reinterpret_cast<sockaddr_in6*>(&bound.storage)->sin6_port);
  }
  if (fd >= 0) close(fd);
  return port;
}

bool listens(const std::string& literal, int port) {
  const Socket address = address_of(literal, port);
  const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool ok = fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address.storage),
                                     address.size) == 0;
  if (fd >= 0) close(fd);
  return ok;
}

class Coturn final : public TurnServer {
 public:
  Coturn(TurnServerConfig config, std::string program)
      : config_(std::move(config)), program_(std::move(program)) {}
  ~Coturn() override {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

  Status run() {
    if (config_.port == 0) config_.port = free_port(config_.listen, SOCK_STREAM);
    if (config_.probe_port == 0) config_.probe_port = free_port(config_.listen, SOCK_DGRAM);
    CONCLAVE_CHECK_STATUS(write_configuration());
    std::promise<Status> first;
    auto outcome = first.get_future();
    // A child dies with the thread that forked it, so one thread does all.
    thread_ = std::thread([this, &first] {
      pthread_setname_np(pthread_self(), "turn-server");
      Status status = spawn();
      const bool ok = status.ok();
      first.set_value(std::move(status));
      if (ok) supervise();
      end();
    });
    return outcome.get();
  }

  int port() const override { return config_.port; }
  int probe_port() const override { return config_.probe_port; }
  int pid() const override { return pid_; }

 private:
  Status write_configuration() const {
    std::error_code error;
    std::filesystem::create_directories(config_.folder, error);
    std::filesystem::permissions(config_.folder, std::filesystem::perms::owner_all, error);
    if (error) return Error{"Cannot make " + config_.folder + ": " + error.message()};
    const bool loopback = config_.peer.rfind("127.", 0) == 0 || config_.peer == "::1";
    std::ostringstream out;
    out << "listening-ip=" << config_.listen << "\nrelay-ip=" << config_.listen
        << "\nlistening-port=" << config_.probe_port << "\ntls-listening-port=" << config_.port
        << "\nalt-listening-port=0\nalt-tls-listening-port=0\n"
        << "cert=" << config_.certificate_file << "\npkey=" << config_.key_file << "\n"
        << "realm=conclave\nfingerprint\nlt-cred-mech\nuse-auth-secret\nstatic-auth-secret="
        << config_.secret << "\nuserdb=" << config_.folder << "/turndb\n"
        << "pidfile=" << config_.folder << "/turnserver.pid\n"
        << "log-file=" << config_.folder << "/turnserver.log\nsimple-log\n"
        << "no-cli\nno-tlsv1\nno-tlsv1_1\nno-dtls\nno-tcp\nno-multicast-peers\n"
        << "stale-nonce=600\ncheck-origin-consistency\nno-software-attribute\n"
        << "min-port=20000\nmax-port=59999\n"
        // The way to the focus, and to nothing else: no open relay.
        << "allowed-peer-ip=" << config_.peer << "\n"
        << "denied-peer-ip=0.0.0.0-255.255.255.255\n"
        << "denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n";
    if (loopback) out << "allow-loopback-peers\n";
    if (config_.advertise != config_.listen && config_.listen != "0.0.0.0") {
      out << "external-ip=" << config_.advertise << "/" << config_.listen << "\n";
    }
    return write_durably(config_.folder + "/turnserver.conf", out.str(), 0600);
  }

  Status spawn() {
    const std::string file = config_.folder + "/turnserver.conf";
    const std::string log = config_.folder + "/output.log";
    CONCLAVE_TRY(pid_, start_server_child("coturn", {program_, "-c", file}, log));
    const std::int64_t until = SystemClock::now() + kReadyWithin;
    const std::string where = config_.listen == "0.0.0.0" ? "127.0.0.1" : config_.listen;
    while (!listens(where, config_.port)) {
      if (!alive()) return Error{"coturn ended while it was starting; see " + log};
      if (SystemClock::now() > until) {
        end();
        return Error{"coturn did not listen within 5 s; see " + log};
      }
      usleep(20'000);
    }
    log::info(kLog, "the tunnel server is up",
              {{"pid", static_cast<int>(pid_)}, {"port", config_.port}});
    return {};
  }

  bool alive() {
    if (pid_ < 0) return false;
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == 0) return true;
    pid_ = -1;
    return false;
  }

  void end() {
    if (!alive()) return;
    kill(pid_, SIGTERM);
    for (int i = 0; i < 50 && alive(); ++i) usleep(20'000);
    if (!alive()) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

  void supervise() {
    std::int64_t pause = 50 * kMs;
    while (!stopping_) {
      usleep(20'000);
      if (alive()) continue;
      log::warning(kLog, "the tunnel server has died; starting it again",
                   {{"pause_ms", static_cast<long>(pause / kMs)}});
      for (std::int64_t waited = 0; waited < pause && !stopping_; waited += 20 * kMs)
        usleep(20'000);
      pause = std::min(pause * 2, kLongestPause);
      if (stopping_) break;
      if (const Status status = spawn(); !status) log::error(kLog, status.error().message);
    }
  }

  TurnServerConfig config_;
  const std::string program_;
  std::atomic<int> pid_{-1};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<TurnServer>> TurnServer::start(const TurnServerConfig& config) {
  std::string program = find_turnserver();
  if (program.empty()) {
    return Error{
        "The tunnel server \"turnserver\" is not there; install the Debian package "
        "\"coturn\""};
  }
  auto server = std::make_unique<Coturn>(config, std::move(program));
  CONCLAVE_CHECK_STATUS(server->run());
  return std::unique_ptr<TurnServer>(std::move(server));
}

TurnCredentials turn_credentials(const std::string& secret, const std::string& name,
                                 std::int64_t expires_unix_s) {
  TurnCredentials out;
  out.username = std::to_string(expires_unix_s) + ":" + name;
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  HMAC(EVP_sha1(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(out.username.data()), out.username.size(), mac.data(),
       &size);
  std::array<unsigned char, 64> text{};
  const int length = EVP_EncodeBlock(text.data(), mac.data(), static_cast<int>(size));
  out.password.assign(reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(length));
  return out;
}

}  // namespace conclave::service
