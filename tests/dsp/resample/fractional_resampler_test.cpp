// SPDX-License-Identifier: Apache-2.0
#include "dsp/resample/fractional_resampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <random>
#include <vector>

#include "base/realtime.h"

namespace conclave::dsp {
namespace {

struct Tone {
  double frequency;
  double walk_ppm;  // greatest change of the ratio from block to block
};

/// Signal over everything else, dB, against the sine at the exact positions.
double sinad_db(const Tone& tone) {
  constexpr int kHop = 480;
  auto resampler = FractionalResampler::create({1, kHop * 2}).value();
  std::mt19937 random(7);
  std::uniform_real_distribution<double> walk(-tone.walk_ppm * 1e-6, tone.walk_ppm * 1e-6);
  const double omega = 2 * std::numbers::pi * tone.frequency / 48000.0;
  double ratio = 1.00005;
  double step = 0;
  long double position = -FractionalResampler::kTaps / 2.0;
  long input = 0;
  double signal = 0;
  double error = 0;
  FrameBuffer in(1, kHop * 2);
  FrameBuffer out(1, kHop);
  for (int block = 0; block < 200; ++block) {
    ratio += walk(random);
    const int need = resampler->needed(kHop, ratio);
    for (int i = 0; i < need; ++i) {
      in[0][static_cast<std::size_t>(i)] =
          static_cast<float>(0.5 * std::sin(omega * static_cast<double>(input + i)));
    }
    int consumed = 0;
    int produced = 0;
    {
      realtime::Scope scope;
      resampler->process(in.view().columns(0, need), ratio, out, consumed, produced);
    }
    EXPECT_EQ(produced, kHop);
    input += consumed;
    if (block == 0) step = 1 / ratio;  // the first block does not ramp
    const double change = (1 / ratio - step) / kHop;
    for (int i = 0; i < kHop; ++i) {
      const double ideal = 0.5 * std::sin(omega * static_cast<double>(position));
      const double got = out[0][static_cast<std::size_t>(i)];
      if (block > 1) {
        signal += ideal * ideal;
        error += (got - ideal) * (got - ideal);
      }
      step += change;
      position += step;
    }
  }
  return 10 * std::log10(signal / error);
}

TEST(FractionalResampler, sinad_at_constant_ratio) {
  EXPECT_GT(sinad_db({1000, 0}), 120);
  EXPECT_GT(sinad_db({15000, 0}), 120);
}

TEST(FractionalResampler, sinad_under_a_ratio_walk) {
  EXPECT_GT(sinad_db({1000, 2}), 120);
  EXPECT_GT(sinad_db({15000, 2}), 120);
}

TEST(FractionalResampler, channels_are_independent_and_equal) {
  auto resampler = FractionalResampler::create({3, 160}).value();
  FrameBuffer in(3, 160);
  FrameBuffer out(3, 200);
  std::mt19937 random(1);
  std::uniform_real_distribution<float> noise(-1, 1);
  for (int i = 0; i < 160; ++i) {
    in[0][static_cast<std::size_t>(i)] = in[2][static_cast<std::size_t>(i)] = noise(random);
  }
  int consumed = 0;
  int produced = 0;
  resampler->process(in, 1.0001, out, consumed, produced);
  EXPECT_EQ(consumed, 160);
  EXPECT_GT(produced, 158);
  for (int i = 0; i < produced; ++i) {
    EXPECT_EQ(out[0][static_cast<std::size_t>(i)], out[2][static_cast<std::size_t>(i)]);
    EXPECT_EQ(out[1][static_cast<std::size_t>(i)], 0.0F);
  }
}

TEST(FractionalResampler, frames_balance_over_time) {
  auto resampler = FractionalResampler::create({1, 480}).value();
  FrameBuffer in(1, 480);
  FrameBuffer out(1, 600);
  long total = 0;
  for (int block = 0; block < 1000; ++block) {
    int consumed = 0;
    int produced = 0;
    resampler->process(in, 1.0002, out, consumed, produced);
    ASSERT_EQ(consumed, 480);
    total += produced;
  }
  EXPECT_NEAR(static_cast<double>(total), 480000 * 1.0002, 2);
}

TEST(FractionalResampler, bad_ratio_and_configuration) {
  EXPECT_FALSE(FractionalResampler::create({0, 480}).ok());
  EXPECT_FALSE(FractionalResampler::create({1, 0}).ok());
  EXPECT_FALSE(FractionalResampler::create({65, 480}).ok());
  auto resampler = FractionalResampler::create({1, 480}).value();
  FrameBuffer in(1, 480);
  FrameBuffer out(1, 600);
  for (const double ratio : {std::numeric_limits<double>::quiet_NaN(), 0.0, -3.0, 1e9}) {
    int consumed = -1;
    int produced = -1;
    resampler->process(in, ratio, out, consumed, produced);
    EXPECT_GE(consumed, 400);
    EXPECT_GT(produced, 400);
    EXPECT_TRUE(std::isfinite(out[0][0]));
  }
}

}  // namespace
}  // namespace conclave::dsp
