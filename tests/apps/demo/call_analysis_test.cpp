// SPDX-License-Identifier: Apache-2.0
#include "apps/demo/call_analysis.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace conclave::apps {
namespace {

constexpr int kRate = 48000;

// Noise in syllables: 0.15 s on, 0.1 s off.
TimedRecording speech_like(double seconds, unsigned seed, std::int64_t start_ns = 0) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, 0.1F);
  TimedRecording r;
  r.start_ns = start_ns;
  r.samples.resize(static_cast<std::size_t>(seconds * kRate));
  for (std::size_t i = 0; i < r.samples.size(); ++i) {
    const double t = static_cast<double>(i) / kRate;
    r.samples[i] = normal(random) * (std::fmod(t, 0.25) < 0.15 ? 1.0F : 0.001F);
  }
  return r;
}

void add_noise(TimedRecording& r, float rms, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, rms);
  for (float& x : r.samples) x += normal(random);
}

TimedRecording silence(double seconds) {
  TimedRecording r;
  r.samples.resize(static_cast<std::size_t>(seconds * kRate));
  return r;
}

TEST(MouthToEar, finds_the_delay_across_different_start_times_and_noise) {
  const auto mouth = speech_like(6.0, 1, 1'000'000'000);
  TimedRecording heard = silence(8.0);
  heard.start_ns = 700'000'000;  // started 0.3 s earlier
  const auto shift = static_cast<std::size_t>((0.3 + 0.0873) * kRate);
  for (std::size_t i = 0; i + shift < heard.samples.size() && i < mouth.samples.size(); ++i) {
    heard.samples[i + shift] = 0.5F * mouth.samples[i];
  }
  add_noise(heard, 0.01F, 2);
  const auto delays = delays_ms(mouth, heard);
  ASSERT_TRUE(delays.ok());
  ASSERT_GT(delays->size(), 10u);
  EXPECT_NEAR(percentile(*delays, 0.0), 87.3, 0.1);
  EXPECT_NEAR(percentile(*delays, 0.99), 87.3, 0.1);
}
TEST(MouthToEar, gives_no_figure_where_nothing_matches) {
  const auto delays = delays_ms(speech_like(5.0, 1), speech_like(6.0, 9));
  ASSERT_TRUE(delays.ok());
  EXPECT_TRUE(delays->empty());
}
TEST(MouthToEar, refuses_different_rates) {
  auto other = speech_like(2.0, 1);
  other.sample_rate = 16000;
  EXPECT_FALSE(delays_ms(speech_like(2.0, 1), other).ok());
}

TEST(EchoReductionMeasure, is_not_fooled_by_noise_suppression_or_near_speech) {
  // 12 s of loudspeaker, silence, then the talker in the room.
  const auto far = speech_like(12.0, 3);
  TimedRecording loudspeaker = silence(20.0), raw = silence(20.0), sent = silence(20.0);
  const auto near = speech_like(4.0, 4);
  for (std::size_t i = 0; i < far.samples.size(); ++i) {
    loudspeaker.samples[i] = far.samples[i];
    raw.samples[i] = 0.5F * far.samples[i];
    sent.samples[i] = 0.005F * far.samples[i];
  }
  const std::size_t near_at = 15 * kRate;
  for (std::size_t i = 0; i < near.samples.size(); ++i) {
    raw.samples[near_at + i] += near.samples[i];
    sent.samples[near_at + i] += near.samples[i];
  }
  add_noise(raw, 0.003F, 5);
  add_noise(sent, 0.0003F, 6);  // 20 dB of noise suppression
  const Interval near_speech[] = {{15'000'000'000, 19'000'000'000}};
  const auto e = echo_reduction(raw, sent, loudspeaker, near_speech);
  ASSERT_TRUE(e.ok()) << e.error().message;
  EXPECT_NEAR(e->reduction_db, 40.0, 1.0);
  EXPECT_GT(e->seconds, 4.0);
}
TEST(EchoReductionMeasure, says_when_there_is_nothing_to_measure) {
  EXPECT_FALSE(echo_reduction(silence(5), silence(5), silence(5), {}).ok());
}

TEST(DirectionScore, counts_speech_frames_within_the_tolerance_across_zero_degrees) {
  std::vector<DirectionSample> truth, believed;
  for (int i = 0; i < 100; ++i) {
    truth.push_back({i * 10'000'000LL, 358.0, i >= 20});
    believed.push_back({i * 10'000'000LL, i < 60 ? 3.0 : 100.0, true});
  }
  const auto score = direction_score(truth, believed);
  EXPECT_EQ(score.frames, 80);
  EXPECT_NEAR(score.share_within, 0.5, 1e-9);
}

}  // namespace
}  // namespace conclave::apps
