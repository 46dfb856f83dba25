// SPDX-License-Identifier: Apache-2.0
#include "dsp/aec/delay_estimator.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/realtime.h"
#include "tests/dsp/aec/echo_room.h"

namespace conclave::dsp {
namespace {

using namespace echo_room;  // NOLINT(google-build-using-namespace)

void run(DelayEstimator& estimator, const Signal& mic, const Signal& far, int hop, double from_s,
         double to_s, int rate) {
  const auto h = static_cast<std::size_t>(hop);
  for (auto n = static_cast<std::size_t>(from_s * rate);
       n + h <= std::min(mic.size(), static_cast<std::size_t>(to_s * rate)); n += h) {
    realtime::Scope scope;
    estimator.process(std::span(mic).subspan(n, h), std::span(far).subspan(n, h));
  }
}

class DelayEstimatorAt : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Rates, DelayEstimatorAt, testing::Values(16000, 48000));

TEST_P(DelayEstimatorAt, finds_delays_of_speech_in_a_room_and_jumps) {
  const int rate = GetParam();
  DelayEstimatorConfig config;
  config.sample_rate = rate;
  config.hop = rate / 100;
  const Signal far = speech(static_cast<std::size_t>(12 * rate), rate, 0.1, 3);
  for (const double delay_ms : {0.0, 120.0, 500.0}) {
    auto estimator = DelayEstimator::create(config).value();
    Signal mic = convolve(far, room_response(rate, 0.4, delay_ms, -6, 5, 0.4 + delay_ms * 1e-3));
    add(mic, white(mic.size(), 0.0007, 6));
    run(*estimator, mic, far, config.hop, 0, 4, rate);
    auto m = estimator->metrics();
    EXPECT_TRUE(m.locked);
    EXPECT_NEAR(m.delay_ms, delay_ms, 2) << delay_ms;
    EXPECT_GT(m.confidence, 0.2);
    if (delay_ms != 120.0) continue;
    mic = convolve(far, room_response(rate, 0.4, 200, -6, 5, 0.6));
    run(*estimator, mic, far, config.hop, 4, 8, rate);
    m = estimator->metrics();
    EXPECT_NEAR(m.delay_ms, 200, 2);
    EXPECT_EQ(m.jumps, 1);
  }
}

TEST_P(DelayEstimatorAt, does_not_lock_on_what_is_not_echo) {
  const int rate = GetParam();
  DelayEstimatorConfig config;
  config.sample_rate = rate;
  config.hop = rate / 100;
  auto estimator = DelayEstimator::create(config).value();
  const Signal far = speech(static_cast<std::size_t>(6 * rate), rate, 0.1, 3);
  const Signal near = speech(static_cast<std::size_t>(6 * rate), rate, 0.1, 70);
  run(*estimator, near, far, config.hop, 0, 6, rate);
  EXPECT_FALSE(estimator->metrics().locked);
  EXPECT_LT(estimator->metrics().confidence, 0.2);
}

TEST(DelayEstimator, invalid_input_is_survived) {
  auto estimator = DelayEstimator::create({16000, 160, 600}).value();
  const Signal far = white(8 * 16000, 0.1, 3);
  Signal mic = convolve(far, room_response(16000, 0.2, 40, -6, 5));
  Signal bad = mic;
  for (std::size_t i = 100; i < 2000; ++i) {
    bad[i] = i % 2 == 0 ? std::numeric_limits<float>::quiet_NaN() : 1e30F;
  }
  run(*estimator, bad, bad, 160, 0, 1, 16000);
  run(*estimator, mic, far, 160, 1, 8, 16000);
  EXPECT_TRUE(estimator->metrics().locked);
  EXPECT_NEAR(estimator->metrics().delay_ms, 40, 2);
}

TEST(DelayEstimator, refuses_nonsense) {
  EXPECT_FALSE(DelayEstimator::create({44100, 441, 600}).ok());
  EXPECT_FALSE(DelayEstimator::create({48000, 481, 600}).ok());
  EXPECT_FALSE(DelayEstimator::create({48000, 480, 5000}).ok());
}

}  // namespace
}  // namespace conclave::dsp
