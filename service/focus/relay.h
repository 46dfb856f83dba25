// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "media/media_peer.h"

namespace conclave::service {

using LegId = std::uint64_t;  ///< never 0, never used twice

struct RelayConfig {
  std::string media_address = "127.0.0.1";  ///< literal where phones send to
  int silent_after_s = 20;                  ///< no packet of any kind from the phone for so long
};

struct LegPorts {
  LegId leg = 0;
  std::uint16_t phone = 0;   ///< on RelayConfig::media_address
  std::uint16_t bridge = 0;  ///< on 127.0.0.1
};

struct LegStats {
  std::uint64_t from_phone = 0;  ///< RTP packets that passed authentication
  std::uint64_t to_bridge = 0;
  std::uint64_t from_bridge = 0;
  std::uint64_t to_phone = 0;
  std::uint64_t rejected = 0;  ///< failed authentication, replayed or malformed
  std::uint64_t lost = 0;      ///< by the phone's sequence numbers
  std::uint64_t concealed_halves = 0;
  double jitter_ms = 0;
  double rtt_ms = -1;  ///< -1: not known yet
  bool talking = false;
};

/// Carries sound between phones (SRTP) and the mixer (plain RTP on loopback), without decoding it
/// except for a low-rate look at who is talking. One thread with epoll for all calls.
///
/// Towards the phone the stream has one SSRC, unbroken sequence numbers and a steady time line,
/// whatever the mixer does: it may be killed and come back without the phone's noticing more than a
/// pause. The phone's address is the SDP's until an authenticated packet shows another one. RTCP is
/// answered here, so that the phone knows its round trip and loss. All functions: any thread, at
/// once.
class Relay {
 public:
  struct Listener {
    /// On the relay's thread; must be quick.
    std::function<void(LegId, bool talking)> talking{};
    /// Nothing has come from the phone for RelayConfig::silent_after_s. Once for each leg.
    std::function<void(LegId)> silent{};
  };
  virtual ~Relay() = default;

  static Result<std::unique_ptr<Relay>> start(const RelayConfig& config, Listener listener);

  /// Sockets for one call. Nothing flows yet.
  virtual Result<LegPorts> open() = 0;
  /// The outcome of offer and answer; again after a re-INVITE.
  virtual Status connect(LegId leg, const media::MediaPeer& peer) = 0;
  /// Where the mixer takes this participant's packets; 0: it is away at the moment.
  virtual void set_bridge_port(LegId leg, std::uint16_t port) = 0;
  /// Silence goes to the mixer instead of this phone's sound, from the next packet on.
  virtual void set_muted(LegId leg, bool muted) = 0;
  virtual void close(LegId leg) = 0;
  virtual LegStats stats(LegId leg) const = 0;
};

}  // namespace conclave::service
