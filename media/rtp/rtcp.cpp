// SPDX-License-Identifier: Apache-2.0
#include "media/rtp/rtcp.h"

#include <algorithm>

#include "media/rtp/bytes.h"

namespace conclave::media {
namespace {

using bytes::get16;
using bytes::get32;
using bytes::put16;
using bytes::put32;

constexpr std::uint8_t kSr = 200, kRr = 201, kSdes = 202, kBye = 203;
constexpr std::size_t kBlockBytes = 24, kSenderBytes = 20;

void put_header(std::span<std::uint8_t> b, int count, std::uint8_t type, std::size_t size) {
  b[0] = static_cast<std::uint8_t>(0x80 | count);
  b[1] = type;
  put16(b, 2, static_cast<std::uint32_t>(size / 4 - 1));
}

RtcpReportBlock get_block(std::span<const std::uint8_t> b) {
  RtcpReportBlock block;
  block.ssrc = get32(b, 0);
  block.fraction_lost = b[4];
  const std::uint32_t lost = get32(b, 4) & 0xffffff;
  block.cumulative_lost = static_cast<std::int32_t>(lost << 8) >> 8;
  block.highest_sequence = get32(b, 8);
  block.jitter = get32(b, 12);
  block.last_sr = get32(b, 16);
  block.delay_since_last_sr = get32(b, 20);
  return block;
}

void put_block(std::span<std::uint8_t> b, const RtcpReportBlock& block) {
  put32(b, 0, block.ssrc);
  const std::int32_t lost = std::clamp(block.cumulative_lost, -0x800000, 0x7fffff);
  put32(b, 4, static_cast<std::uint32_t>(lost) & 0xffffff);
  b[4] = block.fraction_lost;
  put32(b, 8, block.highest_sequence);
  put32(b, 12, block.jitter);
  put32(b, 16, block.last_sr);
  put32(b, 20, block.delay_since_last_sr);
}

void read_report(std::span<const std::uint8_t> body, int count, bool is_sender,
                 RtcpCompound& compound) {
  std::size_t at = 4;
  compound.ssrc = get32(body, 0);
  if (is_sender) {
    compound.sender =
        RtcpSenderInfo{static_cast<std::uint64_t>(get32(body, 4)) << 32 | get32(body, 8),
                       get32(body, 12), get32(body, 16), get32(body, 20)};
    at += kSenderBytes;
  }
  for (int i = 0; i < count; ++i, at += kBlockBytes) {
    compound.blocks[static_cast<std::size_t>(i)] = get_block(body.subspan(at, kBlockBytes));
  }
  compound.block_count = count;
}

/// The CNAME of the first chunk; anything odd is left alone.
void read_sdes(std::span<const std::uint8_t> body, RtcpCompound& compound) {
  std::size_t at = 4;
  while (at + 2 <= body.size() && body[at] != 0) {
    const std::size_t length = body[at + 1];
    if (at + 2 + length > body.size()) return;
    if (body[at] == 1) {
      compound.cname = {reinterpret_cast<const char*>(body.data()) + at + 2, length};
      return;
    }
    at += 2 + length;
  }
}

}  // namespace

std::size_t write_rtcp(const RtcpCompound& compound, std::span<std::uint8_t> out) noexcept {
  const int count = std::clamp(compound.block_count, 0, RtcpCompound::kMaxBlocks);
  const std::size_t cname = std::min<std::size_t>(compound.cname.size(), 255);
  const std::size_t report =
      8 + (compound.sender ? kSenderBytes : 0) + kBlockBytes * static_cast<std::size_t>(count);
  const std::size_t sdes = (8 + 2 + cname + 1 + 3) / 4 * 4;  // ends with at least one zero byte
  const std::size_t bye = compound.bye ? 8 : 0;
  if (report + sdes + bye > out.size()) return 0;

  put_header(out, count, compound.sender ? kSr : kRr, report);
  put32(out, 4, compound.ssrc);
  std::size_t at = 8;
  if (compound.sender) {
    put32(out, 8, static_cast<std::uint32_t>(compound.sender->ntp >> 32));
    put32(out, 12, static_cast<std::uint32_t>(compound.sender->ntp));
    put32(out, 16, compound.sender->rtp_timestamp);
    put32(out, 20, compound.sender->packets);
    put32(out, 24, compound.sender->octets);
    at += kSenderBytes;
  }
  for (int i = 0; i < count; ++i, at += kBlockBytes) {
    put_block(out.subspan(at, kBlockBytes), compound.blocks[static_cast<std::size_t>(i)]);
  }
  auto chunk = out.subspan(at, sdes);
  std::fill(chunk.begin(), chunk.end(), std::uint8_t{0});
  put_header(chunk, 1, kSdes, sdes);
  put32(chunk, 4, compound.ssrc);
  chunk[8] = 1;
  chunk[9] = static_cast<std::uint8_t>(cname);
  std::copy_n(compound.cname.begin(), cname, chunk.begin() + 10);
  at += sdes;
  if (compound.bye) {
    put_header(out.subspan(at, 8), 1, kBye, 8);
    put32(out, at + 4, compound.ssrc);
    at += 8;
  }
  return at;
}

std::optional<RtcpCompound> parse_rtcp(std::span<const std::uint8_t> datagram) noexcept {
  RtcpCompound compound;
  bool first = true;
  std::size_t at = 0;
  while (at < datagram.size()) {
    if (datagram.size() - at < 4 || datagram[at] >> 6 != 2) return std::nullopt;
    const std::uint8_t type = datagram[at + 1];
    const int count = datagram[at] & 0x1f;
    const std::size_t size = 4 * (static_cast<std::size_t>(get16(datagram, at + 2)) + 1);
    if (size > datagram.size() - at) return std::nullopt;
    auto body = datagram.subspan(at + 4, size - 4);
    if ((datagram[at] & 0x20) != 0) {
      if (body.empty() || body.back() == 0 || body.back() > body.size()) return std::nullopt;
      body = body.first(body.size() - body.back());
    }
    at += size;
    if (type == kSr || type == kRr) {
      const std::size_t need =
          4 + (type == kSr ? kSenderBytes : 0) + kBlockBytes * static_cast<std::size_t>(count);
      if (body.size() < need) return std::nullopt;
      if (first) read_report(body, count, type == kSr, compound);
    } else if (first) {
      return std::nullopt;
    } else if (type == kSdes && count > 0 && body.size() >= 4) {
      read_sdes(body, compound);
    } else if (type == kBye) {
      if (body.size() < 4 * static_cast<std::size_t>(count)) return std::nullopt;
      for (int i = 0; i < count; ++i) {
        compound.bye |= get32(body, 4 * static_cast<std::size_t>(i)) == compound.ssrc;
      }
    }
    first = false;
  }
  if (first) return std::nullopt;
  return compound;
}

std::uint64_t ntp_from_unix_ns(std::int64_t unix_ns) noexcept {
  constexpr std::int64_t kEpoch = 2'208'988'800;  // 1900 to 1970
  const std::int64_t s = unix_ns / 1'000'000'000;
  const auto fraction = static_cast<std::uint64_t>(unix_ns % 1'000'000'000);
  return static_cast<std::uint64_t>(s + kEpoch) << 32 | (fraction << 32) / 1'000'000'000;
}

std::optional<double> round_trip_ms(const RtcpReportBlock& block, std::uint64_t now_ntp) noexcept {
  if (block.last_sr == 0) return std::nullopt;
  const std::uint32_t trip = ntp_middle(now_ntp) - block.last_sr - block.delay_since_last_sr;
  // Rounding may take it just below zero; ten seconds and more are forged or stale.
  const auto as_signed = static_cast<std::int32_t>(trip);
  if (as_signed < -65 || as_signed > 10 * 65536) return std::nullopt;
  return std::max(as_signed, 0) * 1000.0 / 65536.0;
}

}  // namespace conclave::media
