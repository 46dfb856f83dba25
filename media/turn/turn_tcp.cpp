// SPDX-License-Identifier: Apache-2.0
#include "media/turn/turn_tcp.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/clock.h"

namespace conclave::media::turn {
namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr int kPeerUnreachable = 447;
constexpr std::size_t kBuffered = 256 * 1024;

/// One direction: what was read and could not be written yet.
struct Pipe {
  std::vector<std::uint8_t> waiting{};
  bool full() const { return waiting.size() > kBuffered; }
  void took(std::ptrdiff_t size) { waiting.erase(waiting.begin(), waiting.begin() + size); }
};

}  // namespace

Result<TcpPath> open_tcp_path(const TunnelConfig& config, const TransportAddress& peer,
                              StreamFailure* failure, bool* peer_unreachable) {
  const auto limit = config.server.timeout;
  CONCLAVE_TRY(auto control_stream, ByteStream::open(config.server, failure));
  TcpPath out;
  out.control =
      std::make_unique<TurnSession>(std::move(control_stream), config.username, config.password);
  CONCLAVE_TRY(const auto allocation, allocate(*out.control, kTcp, false, limit));
  out.lifetime_s = allocation.lifetime_s;
  CONCLAVE_TRY(auto permission, new_request(Method::kCreatePermission));
  if (!permission.add_address(kXorPeerAddress, peer)) {
    return Error{"the SIP server's address is no literal"};
  }
  CONCLAVE_TRY([[maybe_unused]] const auto permitted, out.control->ask(permission, limit));
  CONCLAVE_TRY(auto connect, new_request(Method::kConnect));
  connect.add_address(kXorPeerAddress, peer);
  int code = 0;
  const auto connected = out.control->ask(connect, limit, &code);
  if (!connected) {
    if (peer_unreachable != nullptr) *peer_unreachable = code == kPeerUnreachable || code == 0;
    return connected.error();
  }
  const auto id = connected->number(kConnectionId);
  if (!id) return Error{"the tunnel server gave no connection"};
  CONCLAVE_TRY(auto data, ByteStream::open(config.server, failure));
  TurnSession bind(std::move(data), config.username, config.password);
  bind.begin_as(*out.control);
  CONCLAVE_TRY(auto request, new_request(Method::kConnectionBind));
  request.add_number(kConnectionId, *id);
  CONCLAVE_TRY([[maybe_unused]] const auto bound, bind.ask(std::move(request), limit));
  out.stream = bind.take_stream();
  return out;
}

Result<std::unique_ptr<TcpForwarder>> TcpForwarder::start(TcpPath path) {
  std::unique_ptr<TcpForwarder> out(new TcpForwarder);
  out->path_ = std::move(path);
  out->event_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  out->listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (out->listener_ < 0 || out->event_ < 0 ||
      bind(out->listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(out->listener_, 1) != 0 ||
      getsockname(out->listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return Error{std::string("no local port for the tunnel: ") + std::strerror(errno)};
  }
  out->port_ = ntohs(address.sin_port);
  out->thread_ = std::thread([raw = out.get()] {
    pthread_setname_np(pthread_self(), "tunnel-sip");
    raw->run();
  });
  return out;
}

TcpForwarder::~TcpForwarder() {
  stopping_ = true;
  const std::uint64_t one = 1;
  if (event_ >= 0 && write(event_, &one, sizeof one) < 0) stopping_ = true;
  if (thread_.joinable()) thread_.join();
  for (const int fd : {listener_, client_, event_}) {
    if (fd >= 0) close(fd);
  }
}

void TcpForwarder::run() {
  Pipe up, down;
  std::int64_t refresh_ns = SystemClock::now() + std::int64_t{path_.lifetime_s} * kSecond / 2;
  std::array<std::uint8_t, 16 * 1024> buffer;
  bool alive = true;
  while (alive && !stopping_) {
    std::array<pollfd, 4> fds{
        pollfd{event_, POLLIN, 0},
        pollfd{client_ >= 0 ? client_ : listener_,
               static_cast<short>((up.full() ? 0 : POLLIN) | (down.waiting.empty() ? 0 : POLLOUT)),
               0},
        pollfd{path_.stream->fd(),
               static_cast<short>((down.full() ? 0 : POLLIN) | (up.waiting.empty() ? 0 : POLLOUT)),
               0},
        pollfd{path_.control ? path_.control->fd() : -1, POLLIN, 0}};
    poll(fds.data(), fds.size(), 500);
    if (client_ < 0) {
      client_ = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      const int yes = 1;
      if (client_ >= 0) setsockopt(client_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }
    if (client_ >= 0 && !up.full()) {
      const ssize_t got = recv(client_, buffer.data(), buffer.size(), 0);
      if (got > 0) up.waiting.insert(up.waiting.end(), buffer.begin(), buffer.begin() + got);
      alive = got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
    }
    if (!up.waiting.empty()) {
      const std::ptrdiff_t sent = path_.stream->send(up.waiting);
      if (sent > 0) up.took(sent);
      alive = alive && sent >= 0;
    }
    while (alive && !down.full()) {
      const std::ptrdiff_t got = path_.stream->receive(buffer);
      if (got > 0) down.waiting.insert(down.waiting.end(), buffer.begin(), buffer.begin() + got);
      alive = got >= 0;
      if (got <= 0) break;
    }
    if (client_ >= 0 && !down.waiting.empty()) {
      const ssize_t sent =
          send(client_, down.waiting.data(), down.waiting.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) down.took(sent);
      alive = alive && (sent >= 0 || errno == EAGAIN || errno == EINTR);
    }
    if (alive && path_.control) {
      alive = path_.control->flush() && path_.control->receive({});
      if (alive && SystemClock::now() >= refresh_ns) {
        refresh_ns += std::int64_t{path_.lifetime_s} * kSecond / 2;
        auto request = new_request(Method::kRefresh);
        if (request) {
          request->add_number(kLifetime, path_.lifetime_s);
          alive = path_.control->send(std::move(*request));
        }
      }
    }
  }
  // The other end sees the connection end, as it would without us.
  if (client_ >= 0) shutdown(client_, SHUT_RDWR);
}

bool probe_udp(const std::string& host, int port, std::chrono::milliseconds timeout) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) != 0) return false;
  const int fd = socket(list->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const bool connected = fd >= 0 && ::connect(fd, list->ai_addr, list->ai_addrlen) == 0;
  freeaddrinfo(list);
  bool through = false;
  const std::int64_t begin = SystemClock::now();
  const std::int64_t until = begin + timeout.count() * 1'000'000;
  if (auto request = new_request(Method::kBinding); connected && request) {
    const auto bytes = build_stun(*request, {});
    const std::array<std::int64_t, 3> sends{0, timeout.count() / 4, timeout.count() / 2};
    std::size_t sent = 0;
    while (!through && SystemClock::now() < until) {
      const std::int64_t passed = (SystemClock::now() - begin) / 1'000'000;
      if (sent < sends.size() && passed >= sends[sent]) {
        ++sent;
        if (::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0 && errno == ECONNREFUSED)
          break;
      }
      pollfd one{fd, POLLIN, 0};
      poll(&one, 1, 10);
      std::array<std::uint8_t, kMaxStunBytes> buffer;
      const ssize_t got = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got < 0 && errno == ECONNREFUSED) break;
      if (got <= 0) continue;
      const auto answer = parse_stun(std::span(buffer).first(static_cast<std::size_t>(got)));
      through =
          answer && answer->kind == Class::kSuccess && answer->transaction == request->transaction;
    }
  }
  if (fd >= 0) close(fd);
  return through;
}

}  // namespace conclave::media::turn
