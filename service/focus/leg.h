// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "media/media_peer.h"
#include "media/rtp/receiver_statistics.h"
#include "media/rtp/rtcp.h"
#include "media/rtp/rtp_packet.h"
#include "media/srtp/srtp_session.h"
#include "service/focus/opus_merger.h"
#include "service/focus/relay.h"
#include "service/focus/talk_detector.h"

namespace conclave::service {

/// One call inside the relay: two sockets and the state of both directions. Used under the relay's
/// lock; not thread-safe by itself.
class Leg {
 public:
  ~Leg();
  static Result<std::unique_ptr<Leg>> create(const std::string& media_address);

  int phone_fd() const { return phone_fd_; }
  int bridge_fd() const { return bridge_fd_; }
  std::uint16_t phone_port() const { return phone_port_; }
  std::uint16_t bridge_port() const { return bridge_port_; }

  Status connect(const media::MediaPeer& peer, std::int64_t now_ns);
  void set_bridge_port(std::uint16_t port);
  void set_muted(bool muted);

  /// The sockets are readable. True when talking() changed.
  bool on_phone(std::int64_t now_ns) noexcept;
  void on_bridge(std::int64_t now_ns) noexcept;
  /// Slots, reports, time-outs. True when talking() changed.
  bool on_time(std::int64_t now_ns) noexcept;
  std::int64_t next_due_ns() const noexcept;

  bool talking() const { return talk_.talking(); }
  /// True once, when the phone has been silent for that long.
  bool take_silent(std::int64_t now_ns, std::int64_t limit_ns) noexcept;
  void say_bye(std::int64_t now_ns) noexcept;
  LegStats stats() const;

 private:
  Leg();
  static constexpr std::size_t kBufferBytes =
      media::kMaxDatagramBytes + media::SrtpSession::kTrailerBytes;
  using Buffer = std::array<std::uint8_t, kBufferBytes>;

  bool on_phone_rtp(std::span<std::uint8_t> buffer, std::size_t size, const sockaddr_storage& from,
                    socklen_t from_size, std::int64_t now_ns) noexcept;
  void on_phone_rtcp(std::span<std::uint8_t> buffer, std::size_t size,
                     std::int64_t now_ns) noexcept;
  void to_bridge(std::span<const std::uint8_t> payload, std::uint32_t timestamp) noexcept;
  void send_report(std::int64_t now_ns, bool bye) noexcept;
  std::size_t protect_and_send(std::span<std::uint8_t> buffer, std::size_t size,
                               bool rtcp) noexcept;

  int phone_fd_ = -1;
  int bridge_fd_ = -1;
  std::uint16_t phone_port_ = 0;
  std::uint16_t bridge_port_ = 0;

  bool connected_ = false;
  bool bridged_ = false;
  bool muted_ = false;
  media::MediaPeer peer_{};
  std::unique_ptr<media::SrtpSession> srtp_;
  sockaddr_storage phone_address_{};
  socklen_t phone_address_size_ = 0;

  // From the phone.
  OpusMerger merger_;
  TalkDetector talk_;
  media::ReceiverStatistics received_;
  std::uint16_t uplink_sequence_ = 0;
  std::uint32_t uplink_ssrc_ = 0;
  std::int64_t last_heard_ns_ = 0;
  std::int64_t last_sound_ns_ = 0;
  bool silence_told_ = false;
  std::uint32_t last_sr_ = 0;
  std::int64_t last_sr_ns_ = 0;
  bool have_sr_ = false;

  // To the phone.
  std::uint16_t downlink_sequence_ = 0;
  std::uint32_t downlink_ssrc_ = 0;
  std::uint32_t downlink_timestamp_ = 0;  // of the last packet sent
  std::int64_t downlink_ns_ = 0;          // when that was; 0: none yet
  std::uint32_t mixer_ssrc_ = 0;
  std::uint32_t mixer_offset_ = 0;
  std::uint32_t octets_ = 0;
  std::int64_t next_report_ns_ = 0;

  LegStats stats_{};
};

}  // namespace conclave::service
