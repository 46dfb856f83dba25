// SPDX-License-Identifier: Apache-2.0
#include "dsp/level/agc.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <random>

#include "base/realtime.h"

namespace conclave::dsp {
namespace {

constexpr int kRate = 48000;
constexpr int kHop = 480;

/// Syllables of a 1 kHz tone (K-weighting adds 0.7 dB there) over noise.
class Talker {
 public:
  void fill(FrameBuffer& out, float speech_dbfs, float noise_dbfs, bool talks) {
    const float a = std::pow(10.0F, speech_dbfs / 20) * std::numbers::sqrt2_v<float>;
    const float n = std::pow(10.0F, noise_dbfs / 20);
    for (float& v : out[0]) {
      v = n * normal_(random_);
      if (talks) {
        v += a * std::sin(2 * std::numbers::pi_v<float> * 1000 * static_cast<float>(n_) / kRate);
      }
      n_ = (n_ + 1) % kRate;
    }
  }

 private:
  int n_ = 0;
  std::mt19937 random_{2};
  std::normal_distribution<float> normal_{0, 1};
};

double level_db(const FrameBuffer& x) {
  double sum = 0;
  for (const float v : x[0]) sum += static_cast<double>(v) * v;
  return 10 * std::log10(sum / kHop + 1e-20);
}

TEST(Agc, brings_quiet_and_loud_speech_to_the_target) {
  for (const float level : {-45.0F, -35.0F, -12.0F}) {
    auto agc = Agc::create({.sample_rate = kRate, .hop = kHop}).value();
    Talker talker;
    FrameBuffer x(1, kHop);
    double out = 0;
    for (int t = 0; t < 1200; ++t) {
      const bool talks = t % 50 < 30;
      talker.fill(x, level, -90, talks);
      realtime::Scope guard;
      agc->process(x, talks ? 0.95F : 0.05F);
      if (t % 50 == 15) out = level_db(x);
    }
    EXPECT_NEAR(out, -23 - 0.7, 1.0) << level;
  }
}

TEST(Agc, does_not_pump_noise_up_in_pauses) {
  auto agc = Agc::create({}).value();
  Talker talker;
  FrameBuffer x(1, kHop);
  for (int t = 0; t < 600; ++t) {
    talker.fill(x, -30, -60, t % 50 < 30);
    agc->process(x, t % 50 < 30 ? 0.9F : 0.1F);
  }
  const float before = agc->metrics().gain_db;
  EXPECT_NEAR(before, 6.3, 1.5);
  for (int t = 0; t < 3000; ++t) {  // half a minute of nothing
    talker.fill(x, -30, -60, false);
    agc->process(x, 0.1F);
  }
  EXPECT_EQ(agc->metrics().gain_db, before);
  for (int t = 0; t < 300; ++t) {  // noise that is now and then taken for speech
    talker.fill(x, -30, -60, false);
    agc->process(x, t % 10 == 0 ? 0.9F : 0.1F);
  }
  EXPECT_NEAR(agc->metrics().gain_db, before, 1.0);
}

TEST(Agc, obeys_its_limits_and_moves_slowly) {
  auto agc = Agc::create({}).value();
  agc->set_params({.enabled = true, .target_dbfs = -20, .max_gain_db = 10, .max_cut_db = 6});
  Talker talker;
  FrameBuffer x(1, kHop);
  float last = 0;
  for (int t = 0; t < 1000; ++t) {
    talker.fill(x, t < 500 ? -50.0F : -3.0F, -90, true);
    agc->process(x, 1);
    const float now = agc->metrics().gain_db;
    EXPECT_LE(now - last, 0.0601F);
    EXPECT_GE(now - last, -0.1801F);
    last = now;
    if (t == 499) {
      EXPECT_NEAR(now, 10, 0.01);
    }
  }
  EXPECT_NEAR(last, -6, 0.01);
  agc->set_params({.enabled = false});
  for (int t = 0; t < 300; ++t) {
    talker.fill(x, -30, -90, true);
    agc->process(x, 1);
  }
  EXPECT_EQ(agc->metrics().gain_db, 0);
}

TEST(Agc, comes_down_to_a_quieter_talker) {
  auto agc = Agc::create({}).value();
  Talker talker;
  FrameBuffer x(1, kHop);
  for (int t = 0; t < 2500; ++t) {
    talker.fill(x, t < 500 ? -20.0F : -40.0F, -90, t % 50 < 30);
    agc->process(x, t % 50 < 30 ? 0.9F : 0.1F);
  }
  EXPECT_NEAR(agc->metrics().speech_dbfs, -39.3, 1.0);
  EXPECT_NEAR(agc->metrics().gain_db, 16.3, 1.5);
}

TEST(Agc, recovers_from_what_is_not_a_number) {
  auto agc = Agc::create({}).value();
  Talker talker;
  FrameBuffer x(1, kHop);
  for (int t = 0; t < 600; ++t) {
    talker.fill(x, -30, -90, true);
    if (t == 100) x[0][7] = std::numeric_limits<float>::quiet_NaN();
    if (t == 101) x[0][9] = std::numeric_limits<float>::infinity();
    if (t == 102) x[0][9] = 1e30F;
    agc->process(x, t == 103 ? std::numeric_limits<float>::quiet_NaN() : 1.0F);
    for (const float v : x[0]) ASSERT_TRUE(std::isfinite(v));
  }
  EXPECT_NEAR(agc->metrics().gain_db, 6.3, 1.0);
  EXPECT_FALSE(Agc::create({.sample_rate = 1, .hop = 480}).ok());
}

}  // namespace
}  // namespace conclave::dsp
