// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace conclave::media {

struct RtpHeader {
  std::uint8_t payload_type = 0;  ///< 0..127
  bool marker = false;
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;  ///< Opus: 48 kHz whatever the sound's own rate (RFC 7587)
  std::uint32_t ssrc = 0;
};

/// A parsed packet; the spans look into the datagram.
struct RtpPacket {
  RtpHeader header;
  std::span<const std::uint8_t> payload;    ///< without padding
  std::span<const std::uint8_t> extension;  ///< body of the header extension (RFC 3550, 5.3.1)
  std::uint16_t extension_profile = 0;
  int csrc_count = 0;
};

inline constexpr std::size_t kRtpHeaderBytes = 12;
inline constexpr std::size_t kMaxDatagramBytes = 1500;

/// Reads a datagram of any content (RFC 3550, 5.1). Nothing when the version is not 2 or when
/// CSRCs, extension or padding claim more than is there. Any thread; no allocation.
std::optional<RtpPacket> parse_rtp(std::span<const std::uint8_t> datagram) noexcept;

/// Writes header and payload; returns the size, 0 when it does not fit.
std::size_t write_rtp(const RtpHeader& header, std::span<const std::uint8_t> payload,
                      std::span<std::uint8_t> out) noexcept;

/// With rtcp-mux: is this RTCP? (RFC 5761, section 4: second byte 192..223)
bool looks_like_rtcp(std::span<const std::uint8_t> datagram) noexcept;

}  // namespace conclave::media
