// SPDX-License-Identifier: Apache-2.0
#include "dsp/level/limiter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <limits>
#include <numbers>
#include <random>
#include <vector>

#include "base/realtime.h"

namespace conclave::dsp {
namespace {

const float kCeiling = std::pow(10.0F, -1.0F / 20);

TEST(Limiter, never_lets_a_sample_above_the_ceiling) {
  for (const int rate : {16000, 48000}) {
    const int hop = rate / 100;
    auto limiter = Limiter::create({.sample_rate = rate, .hop = hop, .channels = 2}).value();
    std::mt19937 random(4);
    std::uniform_real_distribution<float> uniform(-1, 1);
    FrameBuffer x(2, hop);
    for (int t = 0; t < 500; ++t) {
      // Quiet, loud, absurd, single spikes: whatever comes.
      const float scale = t % 7 == 0 ? 1000.0F : (t % 3 == 0 ? 4.0F : 0.5F);
      for (int c = 0; c < 2; ++c) {
        for (float& v : x[c]) v = uniform(random) * scale;
      }
      if (t % 11 == 0) x[t % 2][static_cast<std::size_t>(t % hop)] = 3e37F;
      realtime::Scope guard;
      limiter->process(x);
      for (int c = 0; c < 2; ++c) {
        for (const float v : x[c]) ASSERT_LE(std::abs(v), kCeiling);
      }
    }
    EXPECT_LT(limiter->metrics().gain_db, 0);
  }
}

TEST(Limiter, is_a_delay_below_the_ceiling) {
  auto limiter = Limiter::create({}).value();
  const int delay = limiter->latency_frames();
  EXPECT_EQ(delay, 96);
  std::mt19937 random(4);
  std::uniform_real_distribution<float> uniform(-0.85F, 0.85F);
  std::vector<float> in(static_cast<std::size_t>(4800));
  for (float& v : in) v = uniform(random);
  std::vector<float> out = in;
  for (std::size_t i = 0; i < out.size(); i += 480) {
    limiter->process(FrameView(out.data() + i, 1, 480));
  }
  for (std::size_t i = 0; i + 96 < in.size(); ++i) ASSERT_EQ(out[i + 96], in[i]);
  EXPECT_EQ(limiter->metrics().limited, 0U);
}

TEST(Limiter, lets_go_smoothly_and_keeps_the_wave) {
  auto limiter = Limiter::create({}).value();
  std::vector<float> x(48000);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float a = i < 9600 ? 4.0F : 0.2F;
    x[i] = a * std::sin(2 * std::numbers::pi_v<float> * 500 * static_cast<float>(i) / 48000);
  }
  std::vector<float> y = x;
  for (std::size_t i = 0; i < y.size(); i += 480) limiter->process({y.data() + i, 1, 480});
  // Steady: a sine at the ceiling, not a clipped one. Its third harmonic tells.
  std::complex<double> first = 0;
  std::complex<double> third = 0;
  for (std::size_t i = 4800; i < 9600; ++i) {
    const double w = 2 * std::numbers::pi * 500 * static_cast<double>(i) / 48000;
    first += static_cast<double>(y[i]) * std::polar(1.0, -w);
    third += static_cast<double>(y[i]) * std::polar(1.0, -3 * w);
  }
  EXPECT_NEAR(std::abs(first) * 2 / 4800, kCeiling, 0.02);
  EXPECT_LT(std::abs(third), 0.01 * std::abs(first));
  // Half a second after the loud part the quiet one is itself again.
  for (std::size_t i = 40000; i < 48000; ++i) ASSERT_NEAR(y[i], x[i - 96], 2e-3F);
}

TEST(Limiter, replaces_what_is_not_a_number) {
  auto limiter = Limiter::create({}).value();
  FrameBuffer x(1, 480);
  for (float& v : x[0]) v = 0.5F;
  x[0][10] = std::numeric_limits<float>::quiet_NaN();
  x[0][11] = -std::numeric_limits<float>::infinity();
  limiter->process(x);
  EXPECT_EQ(limiter->metrics().repaired, 2U);
  for (float& v : x[0]) v = 0.5F;
  limiter->process(x);
  for (const float v : x[0]) EXPECT_FLOAT_EQ(v, 0.5F);
  EXPECT_FALSE(Limiter::create({.ceiling_dbfs = 3}).ok());
  EXPECT_FALSE(Limiter::create({.look_ahead_ms = 50}).ok());
}

}  // namespace
}  // namespace conclave::dsp
