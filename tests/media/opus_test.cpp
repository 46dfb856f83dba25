// SPDX-License-Identifier: Apache-2.0
#include "media/opus/opus_codec.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>

#include "base/realtime.h"
#include "tests/media/signals.h"

namespace conclave::media {
namespace {

class OpusCodec : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Rates, OpusCodec, testing::Values(48000, 16000));

TEST_P(OpusCodec, speech_survives_at_the_asked_rate) {
  const int rate = GetParam();
  SpeechEncoderConfig config;
  config.sample_rate = rate;
  config.bitrate = 48000;
  auto encoder = std::move(*SpeechEncoder::create(config));
  auto decoder = std::move(*SpeechDecoder::create(rate));
  EXPECT_NEAR(encoder->lookahead() * 1000.0 / rate, 6.5, 0.01);
  const auto in = vowel(rate, 3.0);
  const std::size_t hop = static_cast<std::size_t>(rate) / 100;
  std::vector<float> out(in.size());
  std::size_t bytes = 0;
  for (std::size_t at = 0; at + hop <= in.size(); at += hop) {
    std::array<std::uint8_t, 400> packet{};
    const realtime::Scope no_allocation;
    const auto n = encoder->encode(std::span(in).subspan(at, hop), packet);
    ASSERT_GT(n, 0u);
    bytes += n;
    ASSERT_EQ(decoder->duration48(std::span(packet).first(n)), 480);
    ASSERT_EQ(decoder->decode(std::span(packet).first(n), std::span(out).subspan(at, hop)),
              static_cast<int>(hop));
  }
  // Constrained VBR may save on so simple a sound, not exceed.
  EXPECT_LE(static_cast<double>(bytes) * 8 / 3, 50000);
  EXPECT_GE(static_cast<double>(bytes) * 8 / 3, 30000);
  // Opus keeps the spectrum of speech rather than its waveform; without the right alignment or
  // signal this would be below zero.
  EXPECT_GT(snr_db(in, out, encoder->lookahead(), rate / 2), 2.5);
}

TEST_P(OpusCodec, packets_of_20_ms) {
  const int rate = GetParam();
  SpeechEncoderConfig config;
  config.sample_rate = rate;
  auto encoder = std::move(*SpeechEncoder::create(config));
  auto decoder = std::move(*SpeechDecoder::create(rate));
  std::vector<float> pcm(static_cast<std::size_t>(rate) / 50);
  std::array<std::uint8_t, 400> packet{};
  const auto n = encoder->encode(pcm, packet);
  ASSERT_GT(n, 0u);
  EXPECT_EQ(decoder->duration48(std::span(packet).first(n)), 960);
  EXPECT_EQ(encoder->encode(std::span(pcm).first(7), packet), 0u);
}

TEST(OpusCodecInput, nan_and_infinity_count_as_silence) {
  auto encoder = std::move(*SpeechEncoder::create({}));
  auto decoder = std::move(*SpeechDecoder::create(48000));
  std::array<float, 480> pcm{};
  std::array<std::uint8_t, 400> packet{};
  for (int i = 0; i < 20; ++i) {
    pcm.fill(i == 3 ? std::numeric_limits<float>::quiet_NaN() : 0.1F);
    pcm[7] = std::numeric_limits<float>::infinity();
    const auto n = encoder->encode(pcm, packet);
    ASSERT_GT(n, 0u);
    ASSERT_EQ(decoder->decode(std::span(packet).first(n), pcm), 480);
    for (const float x : pcm) ASSERT_TRUE(std::isfinite(x) && std::abs(x) < 2);
  }
}

TEST(OpusCodecInput, hostile_packets_are_refused_or_decoded_without_harm) {
  auto decoder = std::move(*SpeechDecoder::create(48000));
  std::mt19937 random(3);
  std::array<float, 5760> pcm{};
  for (int i = 0; i < 3000; ++i) {
    std::vector<std::uint8_t> bytes(random() % 120);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    const int duration = decoder->duration48(bytes);
    ASSERT_LE(duration, 5760);
    const int n = decoder->decode(bytes, pcm);
    ASSERT_GE(n, 0);
    ASSERT_LE(n, 5760);
  }
}

TEST(OpusCodecInput, wrong_settings_are_refused) {
  SpeechEncoderConfig config;
  config.sample_rate = 44100;
  EXPECT_FALSE(SpeechEncoder::create(config).ok());
  config = {};
  config.bitrate = 1000;
  EXPECT_FALSE(SpeechEncoder::create(config).ok());
  config = {};
  config.complexity = 11;
  EXPECT_FALSE(SpeechEncoder::create(config).ok());
  EXPECT_FALSE(SpeechDecoder::create(8001).ok());
}

}  // namespace
}  // namespace conclave::media
