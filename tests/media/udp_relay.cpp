// SPDX-License-Identifier: Apache-2.0
#include "tests/media/udp_relay.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <map>
#include <vector>

#include "base/clock.h"
#include "media/rtp/rtp_packet.h"

namespace conclave::media {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int open_port(std::uint16_t& port) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  auto address = loopback(0);
  socklen_t size = sizeof address;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) std::perror("udp_relay: bind");
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

}  // namespace

UdpRelay::UdpRelay(Fate a_to_b, Fate b_to_a)
    : a_to_b_(std::move(a_to_b)), b_to_a_(std::move(b_to_a)) {
  socket_a_ = open_port(port_a_);
  socket_b_ = open_port(port_b_);
}

UdpRelay::~UdpRelay() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  close(socket_a_);
  close(socket_b_);
}

void UdpRelay::connect(std::uint16_t port_of_a, std::uint16_t port_of_b) {
  end_a_ = port_of_a;
  end_b_ = port_of_b;
  thread_ = std::thread([this] { run(); });
}

void UdpRelay::run() {
  struct Waiting {
    int socket;
    std::uint16_t to;
    std::vector<std::uint8_t> bytes;
  };
  std::multimap<std::int64_t, Waiting> waiting;
  int count_a = 0, count_b = 0;
  std::array<std::uint8_t, 2000> buffer{};
  const auto take = [&](int from, int socket, std::uint16_t to, const Fate& fate, int& count) {
    for (;;) {
      const auto n = recv(from, buffer.data(), buffer.size(), 0);
      if (n < 0) return;
      const auto bytes = std::span(buffer).first(static_cast<std::size_t>(n));
      const double delay = looks_like_rtcp(bytes) ? 0 : fate(count++);
      if (delay < 0) continue;
      waiting.emplace(SystemClock::now() + static_cast<std::int64_t>(delay * 1e6),
                      Waiting{socket, to, {bytes.begin(), bytes.end()}});
    }
  };
  while (!stopping_) {
    std::array<pollfd, 2> fds{{{socket_a_, POLLIN, 0}, {socket_b_, POLLIN, 0}}};
    poll(fds.data(), fds.size(), 1);
    take(socket_a_, socket_b_, end_b_, a_to_b_, count_a);
    take(socket_b_, socket_a_, end_a_, b_to_a_, count_b);
    while (!waiting.empty() && waiting.begin()->first <= SystemClock::now()) {
      const auto& w = waiting.begin()->second;
      const auto address = loopback(w.to);
      sendto(w.socket, w.bytes.data(), w.bytes.size(), 0,
             reinterpret_cast<const sockaddr*>(&address), sizeof address);
      waiting.erase(waiting.begin());
    }
  }
}

}  // namespace conclave::media
