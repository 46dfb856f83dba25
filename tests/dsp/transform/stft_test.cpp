// SPDX-License-Identifier: Apache-2.0
#include "dsp/transform/stft.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>
#include <vector>

#include "base/realtime.h"

namespace conclave::dsp {
namespace {

TEST(Stft, reconstructs_each_channel_one_hop_late) {
  for (const int hop : {160, 480, 64}) {
    constexpr int kChannels = 3;
    auto analysis = StftAnalysis::create(kChannels, hop).value();
    auto synthesis = StftSynthesis::create(kChannels, hop).value();
    EXPECT_EQ(synthesis->latency_frames(), hop);
    SpectrumBuffer spectrum(kChannels, analysis->bins());
    FrameBuffer in(kChannels, hop);
    FrameBuffer last(kChannels, hop);
    FrameBuffer out(kChannels, hop);
    std::mt19937 random(5);
    std::uniform_real_distribution<float> noise(-1, 1);
    double signal = 0;
    double error = 0;
    for (int block = 0; block < 50; ++block) {
      copy<float>(in.view(), last.view());
      for (int c = 0; c < kChannels; ++c) {
        for (float& x : in[c]) x = noise(random);
      }
      {
        realtime::Scope scope;
        analysis->process(in, spectrum);
        synthesis->process(spectrum, out);
      }
      for (int c = 0; c < kChannels; ++c) {
        for (std::size_t i = 0; i < static_cast<std::size_t>(hop); ++i) {
          signal += last[c][i] * last[c][i];
          error += std::pow(static_cast<double>(out[c][i]) - last[c][i], 2);
        }
      }
    }
    EXPECT_LT(10 * std::log10(error / signal), -120) << hop;
  }
}

TEST(Stft, a_sine_shows_in_its_bin) {
  auto analysis = StftAnalysis::create(1, 480).value();
  SpectrumBuffer spectrum(1, analysis->bins());
  FrameBuffer in(1, 480);
  for (int block = 0; block < 3; ++block) {
    for (int i = 0; i < 480; ++i) {
      in[0][static_cast<std::size_t>(i)] =
          static_cast<float>(std::sin(2 * std::numbers::pi * 100 / 1024.0 * (block * 480 + i)));
    }
    analysis->process(in, spectrum);
  }
  int best = 0;
  for (int k = 0; k < analysis->bins(); ++k) {
    if (std::abs(spectrum[0][static_cast<std::size_t>(k)]) >
        std::abs(spectrum[0][static_cast<std::size_t>(best)])) {
      best = k;
    }
  }
  EXPECT_EQ(best, 100);
}

TEST(Stft, reset_forgets) {
  auto analysis = StftAnalysis::create(1, 160).value();
  auto synthesis = StftSynthesis::create(1, 160).value();
  SpectrumBuffer spectrum(1, analysis->bins());
  FrameBuffer in(1, 160);
  FrameBuffer out(1, 160);
  for (float& x : in[0]) x = 1;
  analysis->process(in, spectrum);
  synthesis->process(spectrum, out);
  analysis->reset();
  synthesis->reset();
  in.clear();
  analysis->process(in, spectrum);
  synthesis->process(spectrum, out);
  for (const float x : out[0]) EXPECT_EQ(x, 0.0F);
}

TEST(Stft, refuses_bad_shapes) {
  EXPECT_FALSE(StftAnalysis::create(0, 480).ok());
  EXPECT_FALSE(StftAnalysis::create(65, 480).ok());
  EXPECT_FALSE(StftAnalysis::create(1, 1).ok());
  EXPECT_FALSE(StftSynthesis::create(1, 5000).ok());
}

}  // namespace
}  // namespace conclave::dsp
