// SPDX-License-Identifier: Apache-2.0
#include "service/focus/opus_merger.h"

#include <gtest/gtest.h>
#include <opus/opus.h>

#include <cmath>
#include <numbers>
#include <random>
#include <vector>

namespace conclave::service {
namespace {

constexpr std::int64_t kMs = 1'000'000;
using Packet = std::vector<std::uint8_t>;

struct Merger : testing::Test {
  struct Out {
    Packet payload;
    std::uint32_t timestamp;
  };
  std::vector<Out> out;
  OpusMerger merger{[this](std::span<const std::uint8_t> p, std::uint32_t t) {
    out.push_back({Packet(p.begin(), p.end()), t});
  }};

  /// A 1 kHz tone at -20 dBFS in packets of `ms`.
  static std::vector<Packet> tone(int packets, int ms, int application = OPUS_APPLICATION_VOIP) {
    int error = 0;
    OpusEncoder* encoder = opus_encoder_create(48000, 1, application, &error);
    opus_encoder_ctl(encoder, OPUS_SET_BITRATE(48000));
    std::vector<Packet> result;
    const int samples = 48 * ms;
    std::vector<float> sound(static_cast<std::size_t>(samples));
    int n = 0;
    for (int i = 0; i < packets; ++i) {
      for (auto& s : sound) {
        s = 0.1f * static_cast<float>(std::sin(2 * std::numbers::pi * 1000 * n++ / 48000.0)) *
            std::numbers::sqrt2_v<float>;
      }
      Packet packet(1276);
      const int size = opus_encode_float(encoder, sound.data(), samples, packet.data(), 1276);
      packet.resize(static_cast<std::size_t>(size));
      result.push_back(packet);
    }
    opus_encoder_destroy(encoder);
    return result;
  }
  /// RMS in dBFS of what came out, from `skip` packets on.
  double level_db(std::size_t skip) const {
    int error = 0;
    OpusDecoder* decoder = opus_decoder_create(48000, 1, &error);
    std::vector<float> sound(5760);
    double energy = 0;
    long count = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
      const int n =
          opus_decode_float(decoder, out[i].payload.data(),
                            static_cast<opus_int32>(out[i].payload.size()), sound.data(), 5760, 0);
      EXPECT_EQ(n, 960);
      if (i < skip) continue;
      for (int k = 0; k < n; ++k)
        energy += double{sound[static_cast<std::size_t>(k)]} * sound[static_cast<std::size_t>(k)];
      count += n;
    }
    opus_decoder_destroy(decoder);
    return 10 * std::log10(energy / static_cast<double>(count) + 1e-12);
  }
};

TEST_F(Merger, pairs_become_20_ms_at_full_level) {
  const auto packets = tone(100, 10);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const auto now = static_cast<std::int64_t>(i) * 10 * kMs;
    merger.tick(now);
    merger.push(packets[i], 4'294'960'000u + static_cast<std::uint32_t>(i) * 480, now, 0);
  }
  ASSERT_EQ(out.size(), 50u);
  EXPECT_EQ(merger.counters().merged, 50u);
  EXPECT_EQ(merger.counters().half_lost + merger.counters().fillers + merger.counters().late, 0u);
  for (std::size_t i = 1; i < out.size(); ++i) {
    EXPECT_EQ(out[i].timestamp - out[i - 1].timestamp, 960u);
  }
  EXPECT_NEAR(level_db(10), -20.0, 0.7);
}

TEST_F(Merger, twenty_ms_packets_pass_unchanged) {
  const auto packets = tone(10, 20);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    merger.push(packets[i], static_cast<std::uint32_t>(i) * 960,
                static_cast<std::int64_t>(i) * 20 * kMs, 0);
  }
  ASSERT_EQ(out.size(), 10u);
  for (std::size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i].payload, packets[i]);
}

TEST_F(Merger, each_slot_gives_one_packet_whatever_is_lost) {
  const auto packets = tone(400, 10);
  std::mt19937 random(3);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const auto now = static_cast<std::int64_t>(i) * 10 * kMs;
    for (std::int64_t t = now - 9 * kMs; t <= now; t += kMs) merger.tick(t);
    if (i > 1 && random() % 5 == 0) continue;
    merger.push(packets[i], static_cast<std::uint32_t>(i) * 480, now, 0);
  }
  EXPECT_NEAR(static_cast<double>(out.size()), 200.0, 2.0);
  EXPECT_GT(merger.counters().half_lost, 40u);
  EXPECT_GT(level_db(5), -24.0);  // concealed, not holes
  for (std::size_t i = 1; i < out.size(); ++i) {
    EXPECT_EQ(out[i].timestamp - out[i - 1].timestamp, 960u);
  }
}

TEST_F(Merger, order_and_copies_do_not_matter_within_a_slot) {
  const auto packets = tone(4, 10);
  merger.push(packets[1], 480, 0, 0);  // the first to come opens the slots
  merger.push(packets[2], 960, kMs, 0);
  ASSERT_EQ(out.size(), 1u);
  merger.push(packets[2], 960, kMs, 0);
  merger.push(packets[0], 0, kMs, 0);
  EXPECT_EQ(merger.counters().late, 2u);
  EXPECT_EQ(out.size(), 1u);
}

TEST_F(Merger, a_silent_sender_gets_few_fillers_and_no_delay_afterwards) {
  const auto packets = tone(10, 10);
  std::int64_t now = 0;
  for (std::size_t i = 0; i < 4; ++i, now += 10 * kMs) {
    merger.push(packets[i], static_cast<std::uint32_t>(i) * 480, now, 0);
  }
  for (; now < 2000 * kMs; now += kMs) merger.tick(now);
  EXPECT_EQ(out.size(), 2u + OpusMerger::kMaxFillers);
  EXPECT_EQ(merger.deadline_ns(), OpusMerger::kNever);
  const auto before = out.size();
  // Comes back at an odd place: its first pair is a pair.
  merger.push(packets[4], 480 * 201, now, 0);
  merger.push(packets[5], 480 * 202, now + 10 * kMs, 0);
  EXPECT_EQ(out.size(), before + 1);
}

TEST_F(Merger, a_change_of_mode_inside_a_slot_loses_half_of_it_only) {
  const auto voice = tone(3, 10);
  const auto music = tone(3, 10, OPUS_APPLICATION_RESTRICTED_LOWDELAY);
  Packet other = music[1];
  ASSERT_FALSE(other.empty());
  other[0] = static_cast<std::uint8_t>(other[0] ^ 0x04);  // stereo flag: cannot be merged
  merger.push(voice[0], 0, 0, 0);
  merger.push(other, 480, 10 * kMs, 0);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(merger.counters().mode_break, 1u);
  EXPECT_EQ(opus_packet_get_nb_samples(out[0].payload.data(),
                                       static_cast<opus_int32>(out[0].payload.size()), 48000),
            960);
}

TEST_F(Merger, hostile_payloads) {
  std::mt19937 random(11);
  std::int64_t now = 0;
  for (int i = 0; i < 20000; ++i) {
    Packet packet(random() % 40);
    for (auto& b : packet) b = static_cast<std::uint8_t>(random());
    now += static_cast<std::int64_t>(random() % 30) * kMs;
    merger.tick(now);
    merger.push(packet,
                random() % 3 == 0 ? static_cast<std::uint32_t>(random())
                                  : static_cast<std::uint32_t>(i) * 480,
                now, 5);
  }
  EXPECT_GT(merger.counters().unusable, 1000u);
  merger.push(Packet(1500, 0), 0, now, 0);
  for (const auto& o : out) {
    EXPECT_EQ(opus_packet_get_nb_samples(o.payload.data(),
                                         static_cast<opus_int32>(o.payload.size()), 48000),
              960);
  }
}

}  // namespace
}  // namespace conclave::service
