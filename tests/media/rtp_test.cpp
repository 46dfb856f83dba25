// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

#include "media/rtp/receiver_statistics.h"
#include "media/rtp/rtcp.h"
#include "media/rtp/rtp_packet.h"
#include "media/rtp/rtp_session.h"

namespace conclave::media {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes packet(const RtpHeader& header, const Bytes& payload) {
  Bytes out(kMaxDatagramBytes);
  out.resize(write_rtp(header, payload, out));
  return out;
}

TEST(RtpPacket, round_trip) {
  const auto bytes = packet({111, true, 65535, 4'000'000'000U, 0xdeadbeef}, {1, 2, 3});
  const auto parsed = parse_rtp(bytes);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->header.payload_type, 111);
  EXPECT_TRUE(parsed->header.marker);
  EXPECT_EQ(parsed->header.sequence, 65535);
  EXPECT_EQ(parsed->header.timestamp, 4'000'000'000U);
  EXPECT_EQ(parsed->header.ssrc, 0xdeadbeefU);
  EXPECT_EQ(Bytes(parsed->payload.begin(), parsed->payload.end()), (Bytes{1, 2, 3}));
}

TEST(RtpPacket, csrc_extension_and_padding_are_taken_off) {
  Bytes bytes{0xb2, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3};       // P, X, two CSRCs
  bytes.insert(bytes.end(), {1, 1, 1, 1, 2, 2, 2, 2});        // CSRCs
  bytes.insert(bytes.end(), {0xbe, 0xde, 0, 1, 9, 9, 9, 9});  // extension of one word
  bytes.insert(bytes.end(), {7, 8, 0, 0, 3});                 // payload 7 8, padding 3
  const auto parsed = parse_rtp(bytes);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->csrc_count, 2);
  EXPECT_EQ(parsed->extension_profile, 0xbede);
  EXPECT_EQ(parsed->extension.size(), 4u);
  EXPECT_EQ(Bytes(parsed->payload.begin(), parsed->payload.end()), (Bytes{7, 8}));
}

TEST(RtpPacket, lies_about_lengths_are_refused) {
  EXPECT_FALSE(parse_rtp({}));
  EXPECT_FALSE(parse_rtp(Bytes(11, 0x80)));
  EXPECT_FALSE(parse_rtp(Bytes(12, 0x40)));                                    // version 1
  EXPECT_FALSE(parse_rtp(Bytes{0x8f, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1}));  // 15 CSRCs
  EXPECT_FALSE(parse_rtp(Bytes{0x90, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 255, 255}));
  EXPECT_FALSE(parse_rtp(Bytes{0x90, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0}));
  EXPECT_FALSE(parse_rtp(Bytes{0xa0, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 200}));  // padding 200
  EXPECT_FALSE(parse_rtp(Bytes{0xa0, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 0}));    // padding 0
  EXPECT_FALSE(parse_rtp(Bytes{0xa0, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3}));
  std::array<std::uint8_t, 14> small{};
  EXPECT_EQ(write_rtp({}, Bytes{1, 2, 3}, small), 0u);
}

TEST(RtpPacket, rtcp_is_told_apart) {
  EXPECT_TRUE(looks_like_rtcp(Bytes{0x80, 200, 0, 1, 0, 0, 0, 0}));
  EXPECT_FALSE(looks_like_rtcp(Bytes{0x80, 111, 0, 1, 0, 0, 0, 0}));
  EXPECT_FALSE(looks_like_rtcp(Bytes{0x80, 0x80 | 111, 0, 1, 0, 0, 0, 0}));
  EXPECT_FALSE(looks_like_rtcp(Bytes{0x80, 200}));
}

RtcpCompound example() {
  RtcpCompound c;
  c.ssrc = 7;
  c.sender = RtcpSenderInfo{0x123456789abcdef0U, 48000, 10, 1000};
  c.block_count = 2;
  c.blocks[0] = {8, 64, -5, 0x1ffff, 480, 0x56789abc, 65536};
  c.blocks[1] = {9, 0, 0x7fffff, 1, 2, 3, 4};
  c.cname = "phone";
  c.bye = true;
  return c;
}

TEST(Rtcp, round_trip) {
  std::array<std::uint8_t, 512> buffer{};
  const auto size = write_rtcp(example(), buffer);
  ASSERT_GT(size, 0u);
  EXPECT_EQ(size % 4, 0u);
  const auto parsed = parse_rtcp(std::span(buffer).first(size));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->ssrc, 7u);
  ASSERT_TRUE(parsed->sender);
  EXPECT_EQ(parsed->sender->ntp, 0x123456789abcdef0U);
  EXPECT_EQ(parsed->sender->octets, 1000u);
  ASSERT_EQ(parsed->block_count, 2);
  EXPECT_EQ(parsed->blocks[0].cumulative_lost, -5);
  EXPECT_EQ(parsed->blocks[0].fraction_lost, 64);
  EXPECT_EQ(parsed->blocks[0].highest_sequence, 0x1ffffu);
  EXPECT_EQ(parsed->blocks[1].cumulative_lost, 0x7fffff);
  EXPECT_EQ(parsed->cname, "phone");
  EXPECT_TRUE(parsed->bye);
  for (std::size_t cut = 0; cut < size; ++cut) {
    // Whole packets of the compound remain valid; everything else must be refused, not read.
    const Bytes part(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(cut));
    (void)parse_rtcp(part);
  }
  EXPECT_FALSE(parse_rtcp(std::span(buffer).first(50)));
  EXPECT_EQ(write_rtcp(example(), std::span(buffer).first(40)), 0u);
}

TEST(Rtcp, must_begin_with_a_report) {
  EXPECT_FALSE(parse_rtcp(Bytes{0x81, 202, 0, 1, 0, 0, 0, 1}));
  EXPECT_FALSE(parse_rtcp({}));
}

TEST(Rtcp, round_trip_time) {
  const std::int64_t t = 1'700'000'000'000'000'000;
  RtcpReportBlock block;
  EXPECT_FALSE(round_trip_ms(block, ntp_from_unix_ns(t)));
  block.last_sr = ntp_middle(ntp_from_unix_ns(t));
  block.delay_since_last_sr = 65536 / 2;  // 500 ms
  const auto rtt = round_trip_ms(block, ntp_from_unix_ns(t + 540'000'000));
  ASSERT_TRUE(rtt);
  EXPECT_NEAR(*rtt, 40, 0.1);
  EXPECT_FALSE(round_trip_ms(block, ntp_from_unix_ns(t - 1'000'000'000)));
}

TEST(ReceiverStatistics, counts_loss_across_a_wrap) {
  ReceiverStatistics s;
  std::int64_t t = 0;
  for (int i = 0; i < 100; ++i) {
    if (i % 10 != 5) {
      s.update(1, static_cast<std::uint16_t>(65500 + i), static_cast<std::uint32_t>(480 * i), t);
    }
    t += 10'000'000;
  }
  EXPECT_EQ(s.lost(), 10u);
  EXPECT_EQ(s.highest_sequence(), 0x10000u + (65500 + 99) % 65536);
  EXPECT_EQ(s.take_fraction_lost(), 10 * 256 / 100);
  EXPECT_EQ(s.take_fraction_lost(), 0);
  EXPECT_NEAR(s.jitter_ms(), 0, 0.05);
}

TEST(ReceiverStatistics, jitter_follows_the_rfc) {
  ReceiverStatistics s;
  for (int i = 0; i < 2000; ++i) {
    // Alternately 0 and 4 ms late: |D| is 4 ms each time.
    s.update(1, static_cast<std::uint16_t>(i), static_cast<std::uint32_t>(480 * i),
             i * 10'000'000LL + (i % 2) * 4'000'000LL);
  }
  EXPECT_NEAR(s.jitter_ms(), 4, 0.1);
}

TEST(ReceiverStatistics, a_jump_must_be_confirmed) {
  ReceiverStatistics s;
  using V = ReceiverStatistics::Verdict;
  EXPECT_EQ(s.update(1, 10, 0, 0), V::kAccepted);
  EXPECT_EQ(s.update(1, 30000, 0, 0), V::kRejected);
  EXPECT_EQ(s.update(1, 11, 480, 0), V::kAccepted);
  EXPECT_EQ(s.update(1, 40000, 0, 0), V::kRejected);
  EXPECT_EQ(s.update(1, 40001, 480, 0), V::kRestart);
  EXPECT_EQ(s.update(2, 5, 0, 0), V::kRestart);
  EXPECT_EQ(s.lost(), 0u);
}

Bytes sent(RtpSession& from, const Bytes& payload) {
  Bytes buffer(kMaxDatagramBytes);
  std::copy(payload.begin(), payload.end(), buffer.begin() + RtpSession::kPayloadAt);
  buffer.resize(from.finish_rtp(buffer, payload.size(), 480));
  return buffer;
}

struct Pair {
  std::unique_ptr<RtpSession> a, b;
};
Pair secured_pair(SrtpSuite suite) {
  RtpSessionConfig one, two;
  one.local_key = *SrtpKey::generate(suite);
  one.remote_key = *SrtpKey::generate(suite);
  two.local_key = one.remote_key;
  two.remote_key = one.local_key;
  return {std::move(*RtpSession::create(one)), std::move(*RtpSession::create(two))};
}

TEST(RtpSession, srtp_protects_in_every_suite) {
  for (const auto suite : kAllSrtpSuites) {
    SCOPED_TRACE(suite_name(suite));
    auto [a, b] = secured_pair(suite);
    RtpPacket out;
    auto first = sent(*a, {1, 2, 3, 4, 5, 6, 7, 8});
    ASSERT_GT(first.size(), 12u + 8u);
    auto copy = first;
    EXPECT_EQ(b->receive(first, 0, 0, out), RtpSession::Kind::kAudio);
    EXPECT_EQ(Bytes(out.payload.begin(), out.payload.end()), (Bytes{1, 2, 3, 4, 5, 6, 7, 8}));
    EXPECT_EQ(b->receive(copy, 0, 0, out), RtpSession::Kind::kReplayed);
    for (std::size_t i = 2; i < 20; ++i) {
      auto bent = sent(*a, {1, 2, 3, 4, 5, 6, 7, 8});
      bent[i] ^= 1;
      const auto kind = b->receive(bent, 0, 0, out);
      EXPECT_TRUE(kind == RtpSession::Kind::kForged || kind == RtpSession::Kind::kReplayed)
          << i << " " << static_cast<int>(kind);
    }
    auto cut = sent(*a, {1, 2, 3});
    cut.resize(14);
    EXPECT_NE(b->receive(cut, 0, 0, out), RtpSession::Kind::kAudio);
    // Plain RTP where SRTP was agreed.
    auto plain = packet({111, false, 1, 1, 1}, Bytes(40, 1));
    EXPECT_EQ(b->receive(plain, 0, 0, out), RtpSession::Kind::kForged);
  }
}

TEST(RtpSession, reports_travel_and_give_the_round_trip) {
  auto [a, b] = secured_pair(SrtpSuite::kAesCm128HmacSha1_80);
  constexpr std::int64_t kMs = 1'000'000;
  std::int64_t now = 1000 * kMs;
  const std::int64_t unix = 1'700'000'000'000 * kMs;
  RtpPacket out;
  for (int i = 0; i < 10; ++i) {
    auto p = sent(*a, {1});
    if (i != 5) {
      EXPECT_EQ(b->receive(p, now, unix, out), RtpSession::Kind::kAudio);
    }
  }
  Bytes buffer(kMaxDatagramBytes);
  const auto report = [&](RtpSession& from, RtpSession& to, std::int64_t sent_at,
                          std::int64_t arrives_at, bool bye = false) {
    const auto size = from.make_rtcp(buffer, now + sent_at, unix + sent_at, bye);
    EXPECT_EQ(to.receive(std::span(buffer).first(size), now + arrives_at, unix + arrives_at, out),
              RtpSession::Kind::kOther);
  };
  report(*a, *b, 0, 15 * kMs);
  report(*b, *a, 115 * kMs, 130 * kMs);
  EXPECT_NEAR(a->report().rtt_ms, 30, 0.1);
  EXPECT_NEAR(a->report().remote_loss_percent, 10, 100.0 / 256);
  EXPECT_FALSE(b->report().bye);
  report(*a, *b, 200 * kMs, 215 * kMs, true);
  EXPECT_TRUE(b->report().bye);
}

TEST(RtpSession, survives_any_bytes) {
  auto [a, b] = secured_pair(SrtpSuite::kAeadAes256Gcm);
  auto plain = std::move(*RtpSession::create({}));
  std::mt19937 random(1);
  RtpPacket out;
  Bytes rtcp(kMaxDatagramBytes);
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes;
    switch (i % 3) {
      case 0:
        bytes.resize(random() % 200);
        for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
        if (!bytes.empty() && random() % 2 != 0) bytes[0] = 0x80 | (bytes[0] & 0x3f);
        break;
      case 1:
        bytes = sent(*a, Bytes(random() % 100, 7));
        break;
      default:
        bytes.assign(
            rtcp.begin(),
            rtcp.begin() + static_cast<std::ptrdiff_t>(
                               (i % 2 != 0 ? plain : a)->make_rtcp(rtcp, i, i, i % 5 == 0)));
    }
    for (unsigned n = random() % 4; n > 0 && !bytes.empty(); --n) {
      bytes[random() % bytes.size()] ^= static_cast<std::uint8_t>(1U << random() % 8);
    }
    if (random() % 4 == 0 && !bytes.empty()) bytes.resize(random() % bytes.size());
    auto again = bytes;
    b->receive(bytes, i, i, out);
    plain->receive(again, i, i, out);
    (void)parse_rtcp(again);
  }
  // Still sound after all that.
  auto good = sent(*a, {1, 2, 3});
  EXPECT_EQ(b->receive(good, 0, 0, out), RtpSession::Kind::kAudio);
}

TEST(SrtpKey, inline_text_round_trip_and_refusals) {
  for (const auto suite : kAllSrtpSuites) {
    const auto key = SrtpKey::generate(suite);
    ASSERT_TRUE(key.ok());
    const auto text = key->inline_text();
    const auto again = SrtpKey::parse(suite, text + "|2^31");
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(*again, *key);
    EXPECT_FALSE(*SrtpKey::generate(suite) == *key);
    EXPECT_FALSE(SrtpKey::parse(suite, text + "|2^31|1:4").ok());
    EXPECT_FALSE(SrtpKey::parse(suite, text.substr(0, text.size() - 4)).ok());
    EXPECT_FALSE(SrtpKey::parse(suite, text.substr(7)).ok());
    auto bent = text;
    bent[12] = '!';
    EXPECT_FALSE(SrtpKey::parse(suite, bent).ok());
  }
  // The example of RFC 4568, 6.1.
  EXPECT_TRUE(SrtpKey::parse(SrtpSuite::kAesCm128HmacSha1_80,
                             "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20")
                  .ok());
  EXPECT_FALSE(suite_from_name("F8_128_HMAC_SHA1_80").ok());
}

}  // namespace
}  // namespace conclave::media
