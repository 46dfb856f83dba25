// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "base/result.h"
#include "media/turn/turn_session.h"
#include "media/turn/turn_tunnel.h"

namespace conclave::media::turn {

/// One TCP connection through a tunnel server (RFC 6062) or a proxy, and what keeps it alive.
struct TcpPath {
  std::unique_ptr<ByteStream> stream{};
  std::unique_ptr<TurnSession> control{};  ///< null: nothing to keep alive
  std::uint32_t lifetime_s = 600;
};

/// Connects to a peer by way of the tunnel server. Blocks. `failure` tells when the tunnel server
/// could not be connected to; `peer_unreachable` when the tunnel is there and the peer is not.
Result<TcpPath> open_tcp_path(const TunnelConfig& config, const TransportAddress& peer,
                              StreamFailure* failure = nullptr, bool* peer_unreachable = nullptr);

/// A port on 127.0.0.1 whose first connection is carried over a TcpPath, byte for byte: what runs
/// over it (TLS of SIP) is between the two ends alone. One thread of its own.
class TcpForwarder {
 public:
  static Result<std::unique_ptr<TcpForwarder>> start(TcpPath path);
  ~TcpForwarder();
  TcpForwarder(const TcpForwarder&) = delete;
  TcpForwarder& operator=(const TcpForwarder&) = delete;
  std::uint16_t port() const { return port_; }

 private:
  TcpForwarder() = default;
  void run();

  TcpPath path_;
  std::uint16_t port_ = 0;
  int listener_ = -1, client_ = -1, event_ = -1;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

/// Whether UDP gets through to a STUN server and back: asks up to three times. Blocks, at most for
/// `timeout`.
bool probe_udp(const std::string& host, int port, std::chrono::milliseconds timeout);

}  // namespace conclave::media::turn
