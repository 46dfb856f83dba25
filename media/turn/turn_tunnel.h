// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "media/turn/turn_session.h"

namespace conclave::media::turn {

struct TunnelConfig {
  StreamConfig server{};
  std::string username{}, password{};
};

/// A way for datagrams through a tunnel server: TURN over TLS (RFC 8656), maybe through an HTTP
/// proxy. Datagrams sent to local() come out at the server's relayed() address towards one peer, as
/// ChannelData, and the peer's come back from local(). It keeps allocation and channel alive. One
/// thread of its own.
class TurnTunnel {
 public:
  /// The tunnel does not carry any more; why. On the tunnel's thread, once.
  using Lost = std::function<void(const std::string& why)>;

  /// Connects and allocates; blocks, at most about the server's time-out twice. `failure` tells
  /// when the server could not even be connected to.
  static Result<std::unique_ptr<TurnTunnel>> open(const TunnelConfig& config, Lost lost,
                                                  StreamFailure* failure = nullptr);
  ~TurnTunnel();  ///< gives the allocation back
  TurnTunnel(const TurnTunnel&) = delete;
  TurnTunnel& operator=(const TurnTunnel&) = delete;

  const TransportAddress& relayed() const { return allocation_.relayed; }
  const TransportAddress& local() const { return local_; }
  /// Where the datagrams go to, and which port on 127.0.0.1 they come from. Again after a change.
  void connect(const TransportAddress& peer, std::uint16_t application_port);

  struct Counters {
    std::atomic<std::uint64_t> out{0}, in{0};
  };
  const Counters& counters() const { return counters_; }

 private:
  TurnTunnel() = default;
  struct Loop;
  void run();
  void wake() const;

  std::unique_ptr<TurnSession> session_;
  Allocation allocation_{};
  TransportAddress local_{};
  Lost lost_;
  int udp_ = -1, event_ = -1;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  TransportAddress wanted_peer_{};  // guarded by mutex_
  std::uint16_t wanted_port_ = 0;   // guarded by mutex_
  bool changed_ = false;            // guarded by mutex_
  Counters counters_;
  std::thread thread_;
};

}  // namespace conclave::media::turn
