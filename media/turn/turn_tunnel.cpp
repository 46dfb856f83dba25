// SPDX-License-Identifier: Apache-2.0
#include "media/turn/turn_tunnel.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/clock.h"
#include "base/log.h"

namespace conclave::media::turn {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::uint16_t kFirstChannel = 0x4000;
constexpr std::uint16_t kLastChannel = 0x4FFF;
constexpr std::uint8_t kUdp = 17;
constexpr std::int64_t kBindAgain = 240 * kSecond;  // permissions last 300 s
constexpr std::int64_t kAnswerWithin = 5 * kSecond;

}  // namespace

Result<std::unique_ptr<TurnTunnel>> TurnTunnel::open(const TunnelConfig& config, Lost lost,
                                                     StreamFailure* failure) {
  std::unique_ptr<TurnTunnel> tunnel(new TurnTunnel);
  CONCLAVE_TRY(auto stream, ByteStream::open(config.server, failure));
  tunnel->session_ =
      std::make_unique<TurnSession>(std::move(stream), config.username, config.password);
  CONCLAVE_TRY(tunnel->allocation_,
               allocate(*tunnel->session_, kUdp, false, config.server.timeout));
  tunnel->lost_ = std::move(lost);
  tunnel->event_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  tunnel->udp_ = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (tunnel->udp_ < 0 || tunnel->event_ < 0 ||
      bind(tunnel->udp_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(tunnel->udp_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return Error{std::string("no local port for the tunnel: ") + std::strerror(errno)};
  }
  tunnel->local_ = {"127.0.0.1", ntohs(address.sin_port)};
  tunnel->thread_ = std::thread([raw = tunnel.get()] {
    pthread_setname_np(pthread_self(), "tunnel");
    raw->run();
  });
  return tunnel;
}

TurnTunnel::~TurnTunnel() {
  stopping_ = true;
  wake();
  if (thread_.joinable()) thread_.join();
  if (udp_ >= 0) close(udp_);
  if (event_ >= 0) close(event_);
}

void TurnTunnel::wake() const {
  const std::uint64_t one = 1;
  if (event_ >= 0 && write(event_, &one, sizeof one) < 0) return;  // full: it is awake anyway
}

void TurnTunnel::connect(const TransportAddress& peer, std::uint16_t application_port) {
  {
    const std::lock_guard lock(mutex_);
    wanted_peer_ = peer;
    wanted_port_ = application_port;
    changed_ = true;
  }
  wake();
}

struct TurnTunnel::Loop {
  explicit Loop(TurnTunnel& tunnel) : t(tunnel) {}
  TurnTunnel& t;
  std::uint16_t channel = kFirstChannel - 1;
  bool bound = false;
  TransportAddress peer{};
  sockaddr_in application{};
  std::int64_t refresh_ns = 0, bind_ns = 0, answer_by_ns = 0;
  std::string why{};

  bool bind_channel(std::int64_t now) {
    auto request = new_request(Method::kChannelBind);
    if (!request) return false;
    request->add_number(kChannelNumber, std::uint32_t{channel} << 16);
    if (!request->add_address(kXorPeerAddress, peer)) {
      why = "the service's media address is no literal";
      return false;
    }
    bind_ns = now + kBindAgain;
    answer_by_ns = now + kAnswerWithin;
    return t.session_->send(std::move(*request));
  }
  bool refresh(std::int64_t now, bool end) {
    auto request = new_request(Method::kRefresh);
    if (!request) return false;
    request->add_number(kLifetime, end ? 0 : t.allocation_.lifetime_s);
    refresh_ns = now + std::int64_t{t.allocation_.lifetime_s} * kSecond / 2;
    if (!end) answer_by_ns = now + kAnswerWithin;
    return t.session_->send(std::move(*request));
  }
  bool take_wish(std::int64_t now) {
    const std::lock_guard lock(t.mutex_);
    if (!t.changed_) return true;
    t.changed_ = false;
    application = {};
    application.sin_family = AF_INET;
    application.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    application.sin_port = htons(t.wanted_port_);
    if (t.wanted_peer_ == peer) return true;
    peer = t.wanted_peer_;
    bound = false;
    // A channel stays with its peer for ten minutes; another peer needs another one.
    channel = channel == kLastChannel ? kFirstChannel : static_cast<std::uint16_t>(channel + 1);
    return bind_channel(now);
  }
  void answered(const StunMessage& message) {
    if (message.kind == Class::kIndication) return;
    answer_by_ns = 0;
    if (message.kind == Class::kError) {
      why = "the tunnel server refused with " + std::to_string(message.error_code());
    } else if (message.method == Method::kChannelBind) {
      bound = true;
    }
  }
  bool upstream() {
    std::array<std::uint8_t, 2048> datagram;
    for (int i = 0; i < 32; ++i) {
      sockaddr_in from{};
      socklen_t size = sizeof from;
      const ssize_t got = recvfrom(t.udp_, datagram.data(), datagram.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 0) return true;
      // Other programs of this machine have no business here.
      if (!bound || from.sin_port != application.sin_port ||
          from.sin_addr.s_addr != application.sin_addr.s_addr) {
        continue;
      }
      if (!t.session_->send_channel(channel,
                                    std::span(datagram).first(static_cast<std::size_t>(got)))) {
        return false;
      }
      t.counters_.out.fetch_add(1, std::memory_order_relaxed);
    }
    return true;
  }
  void downstream(std::uint16_t from, std::span<const std::uint8_t> payload) {
    if (from != channel || application.sin_port == 0) return;
    if (sendto(t.udp_, payload.data(), payload.size(), MSG_DONTWAIT,
               reinterpret_cast<const sockaddr*>(&application), sizeof application) > 0) {
      t.counters_.in.fetch_add(1, std::memory_order_relaxed);
    }
  }
};

void TurnTunnel::run() {
  Loop loop(*this);
  TurnSession::Sink sink;
  sink.data = [&loop](std::uint16_t channel, std::span<const std::uint8_t> payload) {
    loop.downstream(channel, payload);
  };
  sink.answer = [&loop](const StunMessage& message) { loop.answered(message); };
  loop.refresh_ns = SystemClock::now() + std::int64_t{allocation_.lifetime_s} * kSecond / 2;
  bool alive = true;
  while (alive && !stopping_) {
    std::array<pollfd, 3> fds{
        pollfd{session_->fd(), static_cast<short>(POLLIN | (session_->wants_write() ? POLLOUT : 0)),
               0},
        pollfd{udp_, POLLIN, 0}, pollfd{event_, POLLIN, 0}};
    poll(fds.data(), fds.size(), 500);
    std::uint64_t count = 0;
    if (fds[2].revents != 0 && read(event_, &count, sizeof count) < 0) continue;
    const std::int64_t now = SystemClock::now();
    // TLS may hold bytes that poll() knows nothing of, so it is asked each time.
    alive = session_->flush() && session_->receive(sink) && loop.take_wish(now) && loop.upstream();
    if (alive && now >= loop.refresh_ns) alive = loop.refresh(now, false);
    if (alive && loop.bound && now >= loop.bind_ns) alive = loop.bind_channel(now);
    if (loop.answer_by_ns != 0 && now > loop.answer_by_ns) {
      loop.why = "the tunnel server does not answer";
    }
    alive = alive && loop.why.empty();
  }
  if (stopping_) {
    loop.refresh(SystemClock::now(), true);
    return;
  }
  if (loop.why.empty()) loop.why = "the tunnel server has closed the connection";
  log::warning("tunnel", loop.why);
  if (lost_) lost_(loop.why);
}

}  // namespace conclave::media::turn
