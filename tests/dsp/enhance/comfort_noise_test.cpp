// SPDX-License-Identifier: Apache-2.0
#include "dsp/enhance/comfort_noise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/realtime.h"
#include "dsp/transform/stft.h"
#include "tests/dsp/array/simulation.h"

namespace conclave::dsp {
namespace {

// Noise is replaced altogether by comfort noise of its measured spectrum: the level stays.
TEST(ComfortNoise, replaces_noise_at_its_own_level) {
  for (const int rate : {16000, 48000}) {
    const int hop = rate / 100;
    auto analysis = StftAnalysis::create(1, hop).value();
    auto synthesis = StftSynthesis::create(1, hop).value();
    auto comfort = ComfortNoise::create({.fft_size = analysis->fft_size(), .hop = hop}).value();
    const auto noise = simulation::hum(rate, static_cast<std::size_t>(rate) * 4, 5);
    const auto bins = static_cast<std::size_t>(analysis->bins());
    std::vector<float> mean(bins, 0.0F);
    const std::vector<float> gone(bins, 0.0F);
    FrameBuffer frame(1, hop);
    SpectrumBuffer x(1, analysis->bins());
    double in = 0;
    double out = 0;
    for (int t = 0; t < 400; ++t) {
      for (std::size_t i = 0; i < static_cast<std::size_t>(hop); ++i) {
        frame[0][i] = noise[static_cast<std::size_t>(t * hop) + i];
        if (t < 200) in += static_cast<double>(frame[0][i]) * frame[0][i];
      }
      analysis->process(frame, x);
      if (t < 200) {
        for (std::size_t k = 0; k < bins; ++k) mean[k] += std::norm(x[0][k]) / 200;
        continue;
      }
      x.clear();
      {
        realtime::Scope guard;
        comfort->process(x, gone, mean);
      }
      synthesis->process(x, frame);
      if (t > 201) {
        for (const float v : frame[0]) out += static_cast<double>(v) * v;
      }
    }
    EXPECT_NEAR(10 * std::log10(out / 198 / (in / 200)), 0, 0.7) << rate;
    EXPECT_NEAR(comfort->metrics().added_dbfs, 10 * std::log10(in / 200 / hop), 0.7) << rate;
  }
}

TEST(ComfortNoise, adds_nothing_where_nothing_was_taken_and_repeats_itself) {
  auto comfort = ComfortNoise::create({}).value();
  SpectrumBuffer x(1, 513);
  const std::vector<float> power(513, 1.0F);
  const std::vector<float> none(513, 1.0F);
  const std::vector<float> some(513, 0.5F);
  comfort->process(x, none, power);
  for (const auto& v : x[0]) EXPECT_EQ(v, std::complex<float>(0));
  comfort->reset();
  comfort->process(x, some, power);
  const std::vector<std::complex<float>> once(x[0].begin(), x[0].end());
  x.clear();
  comfort->reset();
  comfort->process(x, some, power);
  for (std::size_t k = 0; k < 513; ++k) EXPECT_EQ(x[0][k], once[k]);
}

TEST(ComfortNoise, ignores_what_is_not_a_number) {
  auto comfort = ComfortNoise::create({}).value();
  SpectrumBuffer x(1, 513);
  std::vector<float> power(513, 1.0F);
  std::vector<float> gain(513, 0.0F);
  power[3] = std::numeric_limits<float>::quiet_NaN();
  power[4] = std::numeric_limits<float>::infinity();
  gain[5] = std::numeric_limits<float>::quiet_NaN();
  comfort->process(x, gain, power);
  for (const auto& v : x[0]) EXPECT_TRUE(std::isfinite(v.real()) && std::isfinite(v.imag()));
  EXPECT_FALSE(ComfortNoise::create({.fft_size = 256, .hop = 480}).ok());
}

}  // namespace
}  // namespace conclave::dsp
