// SPDX-License-Identifier: Apache-2.0
#include "media/rtp/rtp_packet.h"

#include <algorithm>

#include "media/rtp/bytes.h"

namespace conclave::media {

using bytes::get16;
using bytes::get32;
using bytes::put16;
using bytes::put32;

std::optional<RtpPacket> parse_rtp(std::span<const std::uint8_t> datagram) noexcept {
  if (datagram.size() < kRtpHeaderBytes || datagram[0] >> 6 != 2) return std::nullopt;
  RtpPacket packet;
  packet.header.marker = (datagram[1] & 0x80) != 0;
  packet.header.payload_type = datagram[1] & 0x7f;
  packet.header.sequence = get16(datagram, 2);
  packet.header.timestamp = get32(datagram, 4);
  packet.header.ssrc = get32(datagram, 8);
  packet.csrc_count = datagram[0] & 0x0f;

  std::size_t at = kRtpHeaderBytes + 4 * static_cast<std::size_t>(packet.csrc_count);
  if (at > datagram.size()) return std::nullopt;
  if ((datagram[0] & 0x10) != 0) {
    if (at + 4 > datagram.size()) return std::nullopt;
    packet.extension_profile = get16(datagram, at);
    const std::size_t length = 4 * static_cast<std::size_t>(get16(datagram, at + 2));
    at += 4;
    if (length > datagram.size() - at) return std::nullopt;
    packet.extension = datagram.subspan(at, length);
    at += length;
  }
  std::size_t end = datagram.size();
  if ((datagram[0] & 0x20) != 0) {
    if (end == at) return std::nullopt;
    const std::size_t padding = datagram[end - 1];
    if (padding == 0 || padding > end - at) return std::nullopt;
    end -= padding;
  }
  packet.payload = datagram.subspan(at, end - at);
  return packet;
}

std::size_t write_rtp(const RtpHeader& header, std::span<const std::uint8_t> payload,
                      std::span<std::uint8_t> out) noexcept {
  const std::size_t size = kRtpHeaderBytes + payload.size();
  if (size > out.size()) return 0;
  out[0] = 0x80;
  out[1] = static_cast<std::uint8_t>((header.marker ? 0x80 : 0) | (header.payload_type & 0x7f));
  put16(out, 2, header.sequence);
  put32(out, 4, header.timestamp);
  put32(out, 8, header.ssrc);
  // The payload may already be in its place: encoders write there directly.
  if (payload.data() != out.data() + kRtpHeaderBytes) {
    std::copy(payload.begin(), payload.end(), out.begin() + kRtpHeaderBytes);
  }
  return size;
}

bool looks_like_rtcp(std::span<const std::uint8_t> datagram) noexcept {
  return datagram.size() >= 8 && datagram[0] >> 6 == 2 && datagram[1] >= 192 && datagram[1] <= 223;
}

}  // namespace conclave::media
