// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace conclave::media {

/// What a receiver says about one source (RFC 3550, 6.4.1).
struct RtcpReportBlock {
  std::uint32_t ssrc = 0;
  std::uint8_t fraction_lost = 0;         ///< of 256, since the last report
  std::int32_t cumulative_lost = 0;       ///< 24 bits, signed
  std::uint32_t highest_sequence = 0;     ///< extended
  std::uint32_t jitter = 0;               ///< timestamp units
  std::uint32_t last_sr = 0;              ///< middle 32 bits of the NTP time of the last SR
  std::uint32_t delay_since_last_sr = 0;  ///< 1/65536 s
};

struct RtcpSenderInfo {
  std::uint64_t ntp = 0;  ///< 32.32 s since 1900
  std::uint32_t rtp_timestamp = 0;
  std::uint32_t packets = 0;
  std::uint32_t octets = 0;
};

/// One compound packet: SR (with sender) or RR, then SDES CNAME, then BYE.
struct RtcpCompound {
  static constexpr int kMaxBlocks = 31;
  std::uint32_t ssrc = 0;
  std::optional<RtcpSenderInfo> sender;
  int block_count = 0;
  std::array<RtcpReportBlock, kMaxBlocks> blocks{};
  std::string_view cname;  ///< at most 255 bytes; after parsing it looks into the datagram
  bool bye = false;

  std::span<const RtcpReportBlock> reports() const {
    return {blocks.data(), static_cast<std::size_t>(block_count)};
  }
};

/// Writes it; returns the size, 0 when it does not fit. No allocation.
std::size_t write_rtcp(const RtcpCompound& compound, std::span<std::uint8_t> out) noexcept;

/// Reads a datagram of any content. Packets of unknown type are stepped over; later SR and RR of
/// other sources are ignored. Nothing when a length leaves the datagram, a version is not 2 or the
/// datagram does not start with SR or RR (RFC 3550, A.2).
std::optional<RtcpCompound> parse_rtcp(std::span<const std::uint8_t> datagram) noexcept;

/// NTP's 32.32 format from nanoseconds since 1970.
std::uint64_t ntp_from_unix_ns(std::int64_t unix_ns) noexcept;
/// The middle 32 bits: 16.16 s.
inline std::uint32_t ntp_middle(std::uint64_t ntp) noexcept {
  return static_cast<std::uint32_t>(ntp >> 16);
}
/// Round trip in ms from a report block about us that arrived at `now` (RFC 3550, 6.4.1); nothing
/// when the peer has had no SR yet or the figures make no sense.
std::optional<double> round_trip_ms(const RtcpReportBlock& block, std::uint64_t now_ntp) noexcept;

}  // namespace conclave::media
