// SPDX-License-Identifier: Apache-2.0
#include "dsp/level/level_meter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "base/realtime.h"

namespace conclave::dsp {
namespace {

void sine(FrameBuffer& x, float amplitude) {
  for (int c = 0; c < x.channels(); ++c) {
    for (std::size_t i = 0; i < x[c].size(); ++i) {
      x[c][i] =
          amplitude * std::sin(2 * std::numbers::pi_v<float> * static_cast<float>(i % 48) / 48);
    }
  }
}

TEST(LevelMeter, reads_rms_and_peak) {
  auto meter = LevelMeter::create({.channels = 2}).value();
  FrameBuffer x(2, 480);
  sine(x, 0.1F);
  for (int t = 0; t < 100; ++t) {
    realtime::Scope guard;
    meter.process(x);
  }
  EXPECT_NEAR(meter.level(1).rms_dbfs, -23.01, 0.05);
  EXPECT_NEAR(meter.level(1).peak_dbfs, -20, 0.05);
  EXPECT_EQ(meter.level(0).clips, 0U);
}

TEST(LevelMeter, integrates_over_50_ms_and_holds_peaks_for_a_second) {
  auto meter = LevelMeter::create({}).value();
  FrameBuffer x(1, 480);
  sine(x, 0.5F);
  for (int t = 0; t < 100; ++t) meter.process(x);
  const float rms = meter.level(0).rms_dbfs;
  x.clear();
  for (int t = 0; t < 5; ++t) meter.process(x);
  EXPECT_NEAR(meter.level(0).rms_dbfs, rms - 4.34, 0.1);  // one time constant
  for (int t = 0; t < 90; ++t) meter.process(x);
  EXPECT_NEAR(meter.level(0).peak_dbfs, -6.02, 0.05);
  for (int t = 0; t < 105; ++t) meter.process(x);
  EXPECT_LT(meter.level(0).peak_dbfs, -20);
}

TEST(LevelMeter, counts_clips_as_runs) {
  auto meter = LevelMeter::create({}).value();
  FrameBuffer x(1, 480);
  x[0][5] = 1.0F;  // one sample alone may be honest
  for (const int i : {50, 51, 52, 100, 101}) x[0][static_cast<std::size_t>(i)] = -1.0F;
  x[0][479] = 1.0F;
  meter.process(x);
  EXPECT_EQ(meter.level(0).clips, 2U);
  x.clear();
  x[0][0] = 1.0F;  // the run goes on across the frames' border
  meter.process(x);
  EXPECT_EQ(meter.level(0).clips, 3U);
}

TEST(LevelMeter, survives_what_is_not_a_number) {
  auto meter = LevelMeter::create({}).value();
  FrameBuffer x(1, 480);
  sine(x, 0.1F);
  x[0][3] = std::numeric_limits<float>::quiet_NaN();
  x[0][4] = std::numeric_limits<float>::infinity();
  meter.process(x);
  EXPECT_EQ(meter.invalid_samples(), 2U);
  sine(x, 0.1F);
  for (int t = 0; t < 100; ++t) meter.process(x);
  EXPECT_NEAR(meter.level(0).rms_dbfs, -23.01, 0.05);
  meter.reset();
  EXPECT_EQ(meter.level(0).rms_dbfs, -120);
  EXPECT_FALSE(LevelMeter::create({.channels = 0}).ok());
  EXPECT_FALSE(LevelMeter::create({.channels = 17}).ok());
}

}  // namespace
}  // namespace conclave::dsp
