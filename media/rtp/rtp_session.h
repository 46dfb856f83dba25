// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "media/rtp/receiver_statistics.h"
#include "media/rtp/rtcp.h"
#include "media/rtp/rtp_packet.h"
#include "media/srtp/srtp_session.h"

namespace conclave::media {

struct RtpSessionConfig {
  std::uint8_t send_payload_type = 111;
  std::uint8_t receive_payload_type = 111;
  std::optional<SrtpKey> local_key;  ///< both or none
  std::optional<SrtpKey> remote_key;
  std::string cname;  ///< empty: random (RFC 7022)
};

/// What the RTCP of both ends tells.
struct RtpSessionReport {
  std::uint64_t rtcp_received = 0;
  std::uint64_t rtcp_sent = 0;
  double rtt_ms = -1;  ///< -1: not known yet
  double remote_loss_percent = 0;
  double remote_jitter_ms = 0;
  bool bye = false;  ///< the peer has said goodbye
};

/// RTP, RTCP and SRTP of one call without sockets, threads or clocks: bytes in, bytes out. First
/// sequence number, timestamp and SSRC are random (RFC 3550, 5.1). No allocation in the steady
/// state.
class RtpSession {
 public:
  static Result<std::unique_ptr<RtpSession>> create(const RtpSessionConfig& config);

  /// The payload's place in a buffer of kMaxDatagramBytes.
  static constexpr std::size_t kPayloadAt = kRtpHeaderBytes;

  /// Finishes the packet whose payload lies at kPayloadAt and which lasts `duration48` ticks;
  /// returns the datagram's size, 0 on failure.
  std::size_t finish_rtp(std::span<std::uint8_t> buffer, std::size_t payload_size,
                         std::uint32_t duration48) noexcept;
  /// Time goes by without a packet.
  void skip(std::uint32_t duration48) noexcept;

  enum class Kind : std::uint8_t {
    kAudio,      ///< `packet` is valid and looks into the datagram
    kRestarted,  ///< the same, and the source has begun anew
    kOther,  ///< authentic, not for the decoder: RTCP, another payload type, an unconfirmed jump
    kMalformed,
    kForged,  ///< SRTP authentication failed
    kReplayed,
  };
  /// Any bytes are safe. Works in place.
  Kind receive(std::span<std::uint8_t> datagram, std::int64_t arrival_ns, std::int64_t unix_ns,
               RtpPacket& packet) noexcept;

  /// SR or RR with SDES, and BYE on request. Returns the datagram's size.
  std::size_t make_rtcp(std::span<std::uint8_t> buffer, std::int64_t now_ns, std::int64_t unix_ns,
                        bool bye) noexcept;

  void set_payload_types(std::uint8_t send, std::uint8_t receive) noexcept;
  /// New keys after a re-INVITE; the streams go on.
  Status set_keys(const std::optional<SrtpKey>& local, const std::optional<SrtpKey>& remote);

  const ReceiverStatistics& received() const { return statistics_; }
  const RtpSessionReport& report() const { return report_; }
  std::uint64_t sent_packets() const { return sent_packets_; }
  std::uint32_t ssrc() const { return ssrc_; }
  bool secured() const { return srtp_ != nullptr; }

 private:
  RtpSession() = default;
  Kind receive_rtcp(std::span<std::uint8_t> datagram, std::int64_t arrival_ns,
                    std::int64_t unix_ns) noexcept;

  std::uint8_t send_type_ = 111, receive_type_ = 111;
  std::unique_ptr<SrtpSession> srtp_;
  std::optional<SrtpKey> local_key_, remote_key_;
  std::string cname_;
  std::uint32_t ssrc_ = 0;
  std::uint16_t sequence_ = 0;
  std::uint32_t timestamp_ = 0;
  std::uint64_t sent_packets_ = 0;
  std::uint64_t sent_octets_ = 0;
  std::uint64_t sent_at_last_report_ = 0;
  ReceiverStatistics statistics_;
  RtpSessionReport report_;
  std::uint32_t last_sr_ = 0;
  std::int64_t last_sr_ns_ = 0;
};

}  // namespace conclave::media
