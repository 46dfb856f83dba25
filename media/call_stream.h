// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/audio_frame.h"
#include "base/result.h"
#include "media/media_peer.h"

namespace conclave::media {

struct CallStreamConfig {
  std::string local_address = "0.0.0.0";  ///< literal to bind
  std::uint16_t local_port = 0;           ///< 0: a free one
  int sample_rate = 48000;                ///< of the frames in both rings: 48000 or 16000
  int bitrate = 48000;                    ///< bit/s, 16000..128000 (the peer's limit wins)
  int complexity = 5;                     ///< Opus, 0..10
  int dscp = 46;                          ///< EF; 0..63
  bool latching = false;  ///< take the peer's real address from its first authenticated packet
  int min_delay_ms = 0;   ///< jitter buffer, beyond one packet
  int max_delay_ms = 400;
  int downlink_frames =
      0;              ///< frames kept in the downlink ring: 1..4; 0: 1 or 2 as the machine needs
  std::string cname;  ///< RTCP; empty: random
  int priority = 0;   ///< SCHED_FIFO of the thread; 0: ordinary
};

/// Counters run from start(); levels are of the last moment.
struct CallStats {
  std::uint64_t tx_packets = 0;
  std::uint64_t tx_bytes = 0;    ///< UDP payload
  std::uint64_t tx_errors = 0;   ///< the kernel refused to send
  std::uint64_t rx_packets = 0;  ///< RTP that passed every check
  std::uint64_t rx_bytes = 0;
  std::uint64_t rx_lost = 0;  ///< by sequence numbers, RFC 3550 A.3
  std::uint64_t rx_late = 0;  ///< came after their place had been played
  std::uint64_t rx_duplicate = 0;
  std::uint64_t rx_reordered = 0;  ///< came out of order but in time
  std::uint64_t rx_malformed = 0;
  std::uint64_t rx_foreign = 0;     ///< from an address that is not the peer's
  std::uint64_t srtp_failures = 0;  ///< failed authentication or replayed
  std::uint64_t rtcp_rx = 0;
  std::uint64_t rtcp_tx = 0;
  double loss_percent = 0;         ///< of the last 5 s, before concealment
  double remote_loss_percent = 0;  ///< what the peer says it loses of ours (RTCP RR)
  double remote_jitter_ms = 0;
  double jitter_ms = 0;  ///< RFC 3550 A.8
  double rtt_ms = -1;    ///< -1: not known yet
  double buffer_ms = 0;  ///< sound waiting in the jitter buffer
  double target_ms = 0;  ///< delay it aims at, beyond one packet
  double delay_ms = 0;  ///< estimate, mouth to ear without the two devices: network (rtt/2) + frame
                        ///< + codec + buffer + ring
  std::uint64_t concealed_ms = 0;    ///< made up because packets were missing
  std::uint64_t accelerated_ms = 0;  ///< taken out to follow the target or the clocks
  std::uint64_t expanded_ms = 0;     ///< put in, likewise
  std::uint64_t underruns = 0;       ///< downlink ring found empty although the call was running
  double tx_kbps = 0;
  double rx_kbps = 0;
  double drift_ppm = 0;    ///< sender's clock against ours, long-term; 0 until known
  double mos = 0;          ///< 1..4.5, ITU-T G.107 simplified; 0: nothing received yet
  bool receiving = false;  ///< something came within the last second
  bool secured = false;    ///< SRTP
};

/// The sound of one call: frames from the uplink ring become packets, packets become frames in the
/// downlink ring, on one thread of its own.
///
/// Whoever pops the downlink (the engine, on its sound card's clock) sets the pace: a frame is made
/// when one has been taken, so the ring neither runs dry nor fills up, and the difference between
/// the clocks is absorbed by the jitter buffer's time scaling. The rings must outlive the stream;
/// this is the one consumer of `uplink` and the one producer of `downlink`.
class CallStream {
 public:
  virtual ~CallStream() = default;  ///< stops

  /// Binds the socket, so that the port can go into an offer. No thread yet.
  static Result<std::unique_ptr<CallStream>> create(const CallStreamConfig& config,
                                                    AudioFrameRing& uplink,
                                                    AudioFrameRing& downlink);

  virtual std::uint16_t local_port() const = 0;
  /// Begins. Errors: bad address, keys of different suites, a bad bit rate.
  virtual Status start(const MediaPeer& peer) = 0;
  /// After a re-INVITE: new address, direction or keys, while running.
  virtual Status update(const MediaPeer& peer) = 0;
  /// Sends RTCP BYE and joins the thread. Safe to call twice.
  virtual void stop() = 0;
  /// Silence goes out instead of the uplink's frames (the packets keep flowing).
  virtual void set_muted(bool muted) = 0;
  /// At most 100 ms old. Any thread, any number of readers.
  virtual CallStats stats() const = 0;
};

}  // namespace conclave::media
