// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

namespace conclave::media {

/// A bad network between two UDP ports of this machine: what comes from either port is passed on to
/// the other, after a delay or not at all.
class UdpRelay {
 public:
  /// Delay in ms of the n-th datagram that is no RTCP, in one direction; negative: lost. Called on
  /// the relay's thread.
  using Fate = std::function<double(int index)>;

  explicit UdpRelay(Fate a_to_b, Fate b_to_a);
  ~UdpRelay();
  UdpRelay(const UdpRelay&) = delete;
  UdpRelay& operator=(const UdpRelay&) = delete;

  /// The port that A must send to, and that B's packets come to A from; likewise for B.
  std::uint16_t port_for_a() const { return port_a_; }
  std::uint16_t port_for_b() const { return port_b_; }
  void connect(std::uint16_t port_of_a, std::uint16_t port_of_b);

 private:
  void run();
  Fate a_to_b_, b_to_a_;
  int socket_a_ = -1, socket_b_ = -1;
  std::uint16_t port_a_ = 0, port_b_ = 0;
  std::uint16_t end_a_ = 0, end_b_ = 0;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace conclave::media
