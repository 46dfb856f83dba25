// SPDX-License-Identifier: Apache-2.0
#include "dsp/enhance/noise_suppressor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/realtime.h"
#include "dsp/transform/stft.h"
#include "tests/dsp/array/simulation.h"

namespace conclave::dsp {
namespace {

struct Outcome {
  double sdr_before = 0;
  double sdr_after = 0;
  double reduction = 0;     // of noise where nobody talks
  double pause_speech = 0;  // mean speech probability
  double talk_speech = 0;
  double ripple = 0;  // standard deviation of the residual noise's level, dB over frames
};

Outcome run(int rate, double snr_db, const NoiseSuppressorParams& params, std::uint32_t seed) {
  const int hop = rate / 100;
  std::vector<bool> talking;
  const auto speech = simulation::speech(rate, 6, seed, &talking);
  auto noise = simulation::hum(rate, speech.size(), seed + 1);
  double power = 0;
  for (const float v : speech) power += static_cast<double>(v) * v;
  const auto gain = static_cast<float>(
      std::sqrt(power / static_cast<double>(speech.size()) * std::pow(10, -snr_db / 10)));
  for (float& v : noise) v *= gain;

  auto analysis = StftAnalysis::create(2, hop).value();
  auto synthesis = StftSynthesis::create(2, hop).value();
  auto suppressor =
      NoiseSuppressor::create({.sample_rate = rate, .fft_size = analysis->fft_size(), .hop = hop})
          .value();
  suppressor->set_params(params);
  suppressor->reset();
  FrameBuffer in(2, hop);
  FrameBuffer out(2, hop);
  SpectrumBuffer x(2, analysis->bins());
  std::vector<float> gains(static_cast<std::size_t>(analysis->bins()));
  Outcome o;
  double clean = 0, error = 0, disturbance = 0, pause_in = 0, pause_out = 0;
  int pauses = 0, talks = 0;
  std::vector<double> levels;
  const int frames = static_cast<int>(talking.size());
  for (int t = 0; t < frames; ++t) {
    const auto at = static_cast<std::size_t>(t * hop);
    for (std::size_t i = 0; i < static_cast<std::size_t>(hop); ++i) {
      in[0][i] = speech[at + i] + noise[at + i];
      in[1][i] = noise[at + i];
    }
    {
      realtime::Scope guard;
      analysis->process(in, x);
      suppressor->process(x.view().rows(0, 1), gains);
      for (std::size_t k = 0; k < gains.size(); ++k) x[1][k] *= gains[k];
      synthesis->process(x, out);
    }
    if (t < 50) continue;
    const auto was = at - static_cast<std::size_t>(hop);
    double in_level = 0, out_level = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(hop); ++i) {
      const double s = speech[was + i];
      clean += s * s;
      error += (out[0][i] - s) * (out[0][i] - s);
      disturbance += static_cast<double>(noise[was + i]) * noise[was + i];
      in_level += static_cast<double>(noise[was + i]) * noise[was + i];
      out_level += static_cast<double>(out[1][i]) * out[1][i];
    }
    bool quiet = true;
    for (int i = t - 8; i <= t; ++i) quiet = quiet && !talking[static_cast<std::size_t>(i)];
    if (quiet) {
      pause_in += in_level;
      pause_out += out_level;
      levels.push_back(10 * std::log10(out_level / in_level));
      o.pause_speech += static_cast<double>(suppressor->metrics().speech_probability);
      ++pauses;
    } else if (talking[static_cast<std::size_t>(t)]) {
      o.talk_speech += static_cast<double>(suppressor->metrics().speech_probability);
      ++talks;
    }
  }
  EXPECT_GT(pauses, 20);
  o.sdr_before = 10 * std::log10(clean / disturbance);
  o.sdr_after = 10 * std::log10(clean / error);
  o.reduction = 10 * std::log10(pause_in / pause_out);
  o.pause_speech /= pauses;
  o.talk_speech /= talks;
  double mean = 0;
  for (const double l : levels) mean += l / static_cast<double>(levels.size());
  for (const double l : levels) o.ripple += (l - mean) * (l - mean);
  o.ripple = std::sqrt(o.ripple / static_cast<double>(levels.size()));
  return o;
}

TEST(NoiseSuppressor, takes_15_dB_of_ventilation_and_leaves_the_voice) {
  for (const int rate : {16000, 48000}) {
    const Outcome o = run(rate, 5, {}, 3);
    EXPECT_GT(o.reduction, 15) << rate;
    EXPECT_GT(o.sdr_after, o.sdr_before + 2) << rate;
    EXPECT_LT(o.ripple, 4) << rate;  // residual noise does not twitter
    EXPECT_LT(o.pause_speech, 0.25) << rate;
    EXPECT_GT(o.talk_speech, 0.5) << rate;
  }
}

TEST(NoiseSuppressor, hardly_touches_clean_speech) {
  const Outcome o = run(16000, 40, {}, 5);
  EXPECT_GT(o.sdr_after, 17);
}

TEST(NoiseSuppressor, takes_no_more_than_it_may_and_nothing_when_off) {
  const Outcome gentle = run(16000, 5, {.max_reduction_db = 6}, 3);
  EXPECT_LT(gentle.reduction, 6.1);
  EXPECT_GT(gentle.reduction, 4.5);
  const Outcome off = run(16000, 5, {.enabled = false}, 3);
  EXPECT_NEAR(off.reduction, 0, 0.01);
  EXPECT_NEAR(off.sdr_after, off.sdr_before, 0.01);
}

class Bare : public testing::Test {
 protected:
  void noise_frame(float level) {
    for (auto& v : x_[0]) v = level * std::complex<float>(normal_(random_), normal_(random_));
  }
  bool finite() {
    for (const auto& v : x_[0]) {
      if (!std::isfinite(v.real()) || !std::isfinite(v.imag())) return false;
    }
    return true;
  }
  std::unique_ptr<NoiseSuppressor> suppressor_ = NoiseSuppressor::create({}).value();
  std::mt19937 random_{1};
  std::normal_distribution<float> normal_{0, 1};
  SpectrumBuffer x_{1, 513};
  std::vector<float> gain_ = std::vector<float>(513);
};

TEST_F(Bare, recovers_from_what_is_not_a_number) {
  for (int t = 0; t < 100; ++t) {
    noise_frame(0.1F);
    suppressor_->process(x_, gain_);
  }
  const float before = suppressor_->metrics().noise_dbfs;
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e38F}) {
    noise_frame(0.1F);
    x_[0][77] = {bad, 0};
    suppressor_->process(x_, gain_);
    EXPECT_EQ(x_[0][5], std::complex<float>(0));
    EXPECT_TRUE(finite());
  }
  for (int t = 0; t < 20; ++t) {
    noise_frame(0.1F);
    suppressor_->process(x_, gain_);
    EXPECT_TRUE(finite());
  }
  EXPECT_NEAR(suppressor_->metrics().noise_dbfs, before, 1);
}

TEST_F(Bare, digital_silence_stays_silent) {
  for (int t = 0; t < 300; ++t) {
    x_.clear();
    suppressor_->process(x_, gain_);
    EXPECT_EQ(x_[0][100], std::complex<float>(0));
    EXPECT_LT(suppressor_->metrics().speech_probability, 0.1F);
  }
}

TEST_F(Bare, holds_the_noise_when_told) {
  for (int t = 0; t < 100; ++t) {
    noise_frame(0.1F);
    suppressor_->process(x_, gain_);
  }
  const float before = suppressor_->metrics().noise_dbfs;
  for (int t = 0; t < 500; ++t) {
    noise_frame(0.5F);
    suppressor_->process(x_, gain_, false);
  }
  EXPECT_EQ(suppressor_->metrics().noise_dbfs, before);
}

TEST(NoiseSuppressorConfig, refuses_what_does_not_fit) {
  EXPECT_FALSE(NoiseSuppressor::create({.sample_rate = 48000, .fft_size = 512, .hop = 480}).ok());
  EXPECT_FALSE(NoiseSuppressor::create({.sample_rate = 0}).ok());
}

}  // namespace
}  // namespace conclave::dsp
