// SPDX-License-Identifier: Apache-2.0
#include "dsp/neural/mask_net.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/realtime.h"
#include "dsp/neural/mask_weights.h"
#include "dsp/transform/stft.h"

namespace conclave::dsp {
namespace {

constexpr std::size_t kOutputs = 2 * MaskBands::kBands + 1;

struct Expected {
  int frame;
  std::array<float, kOutputs> answer;
};
const Expected kReference[] = {
#include "tests/dsp/neural/mask_reference.inc"
};

/// The input of tools/training/export.py.
std::vector<float> input(int t) {
  std::vector<float> x(MaskFeatures::kCount);
  for (int i = 0; i < MaskFeatures::kCount; ++i) {
    x[static_cast<std::size_t>(i)] = static_cast<float>(0.4 + 1.2 * std::sin(0.37 * t + 0.11 * i) *
                                                                  std::cos(0.05 * t * (i % 7)));
  }
  return x;
}

std::array<float, kOutputs> flat(const MaskAnswer& answer) {
  std::array<float, kOutputs> y{};
  std::copy(answer.echo_gain.begin(), answer.echo_gain.end(), y.begin());
  std::copy(answer.near_gain.begin(), answer.near_gain.end(), y.begin() + MaskBands::kBands);
  y.back() = answer.near_probability;
  return y;
}

TEST(MaskNet, answers_as_the_training_does) {
  auto net = MaskNet::create().value();
  std::size_t at = 0;
  for (int t = 0; t < 24; ++t) {
    const auto y = flat(net->process(input(t)));
    if (at == std::size(kReference) || kReference[at].frame != t) continue;
    for (std::size_t i = 0; i < kOutputs; ++i) {
      EXPECT_NEAR(y[i], kReference[at].answer[i], 0.01) << "frame " << t << ", output " << i;
    }
    ++at;
  }
  EXPECT_EQ(at, std::size(kReference));
}

TEST(MaskNet, two_runs_and_a_reset_are_the_same_bit_for_bit) {
  auto one = MaskNet::create().value();
  auto two = MaskNet::create().value();
  std::vector<std::array<float, kOutputs>> heard;
  heard.reserve(50);
  for (int t = 0; t < 50; ++t) heard.push_back(flat(one->process(input(t))));
  for (int t = 0; t < 50; ++t)
    EXPECT_EQ(flat(two->process(input(t))), heard[static_cast<std::size_t>(t)]);
  one->reset();
  for (int t = 0; t < 50; ++t)
    EXPECT_EQ(flat(one->process(input(t))), heard[static_cast<std::size_t>(t)]);
}

TEST(MaskNet, neither_allocates_nor_answers_beyond_0_and_1) {
  auto net = MaskNet::create().value();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const float nasty[] = {kNan, kInf, -kInf, 1e30F, -1e30F, 1e-42F, 0.0F, 3.0F};
  std::vector<float> x(MaskFeatures::kCount);
  std::mt19937 random(3);
  for (int t = 0; t < 200; ++t) {
    for (float& v : x) v = nasty[random() % std::size(nasty)];
    realtime::Scope guard;
    const auto y = flat(net->process(x));
    for (const float v : y) {
      ASSERT_GE(v, 0.0F);
      ASSERT_LE(v, 1.0F);
    }
  }
}

TEST(MaskNet, refuses_weights_that_are_not_ours) {
  const auto whole = mask_weights();
  const std::vector<std::uint8_t> good(whole.begin(), whole.end());
  EXPECT_TRUE(MaskNet::create(good).ok());
  EXPECT_FALSE(MaskNet::create(std::span(good).first(good.size() - 1)).ok());
  EXPECT_FALSE(MaskNet::create(std::span(good).first(3)).ok());
  EXPECT_FALSE(MaskNet::create(std::span<const std::uint8_t>()).ok());
  auto longer = good;
  longer.push_back(0);
  EXPECT_FALSE(MaskNet::create(longer).ok());
  auto other = good;
  other[8] ^= 1U;  // number of features
  EXPECT_FALSE(MaskNet::create(other).ok());
  auto infinite = good;
  for (std::size_t i = 28; i < 32; ++i) infinite[i] = 0xFF;  // the first scale: NaN
  EXPECT_FALSE(MaskNet::create(infinite).ok());
}

TEST(MaskBands, add_up_to_one_and_spread_what_they_are_given) {
  for (const int rate : {16000, 48000}) {
    const int size = fft_size_for_hop(rate / 100);
    const MaskBands bands(rate, size);
    std::vector<float> power(static_cast<std::size_t>(size / 2 + 1), 1.0F);
    std::vector<float> sums(MaskBands::kBands);
    bands.sum(power.data(), sums);
    double total = 0;
    for (const float s : sums) {
      EXPECT_GT(s, 0.5F) << "no band is empty";
      total += static_cast<double>(s);
    }
    EXPECT_NEAR(total, bands.bins(), 0.01);
    std::vector<float> gain(power.size());
    std::vector<float> wanted(MaskBands::kBands);
    for (int b = 0; b < MaskBands::kBands; ++b)
      wanted[static_cast<std::size_t>(b)] = MaskBands::centre_hz(b) / 8000;
    bands.spread(wanted, gain);
    const double hz = static_cast<double>(rate) / size;
    for (int k = static_cast<int>(100 / hz); k * hz < 7700; ++k) {
      EXPECT_NEAR(static_cast<double>(gain[static_cast<std::size_t>(k)]), k * hz / 8000, 0.002);
    }
  }
}

/// Mean features of two seconds of a signal that is the same at both rates.
std::vector<double> features_at(int rate) {
  const int hop = rate / 100;
  auto analysis = StftAnalysis::create(1, hop).value();
  MaskFeatures features(rate, hop);
  FrameBuffer in(1, hop);
  SpectrumBuffer x(1, analysis->bins());
  std::vector<double> mean(MaskFeatures::kCount);
  std::mt19937 random(1);
  for (int t = 0; t < 200; ++t) {
    for (int i = 0; i < hop; ++i) {
      const double time = (t * hop + i) / static_cast<double>(rate);
      double v = 0;
      for (int h = 1; h < 38; ++h) v += std::sin(2 * 3.14159265 * 200.5 * h * time + h * h);
      in[0][static_cast<std::size_t>(i)] = static_cast<float>(0.02 * v);
    }
    analysis->process(in, x);
    realtime::Scope guard;
    const auto told = features.process(x[0], x[0], x[0]);
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += static_cast<double>(told[i]) / 200;
  }
  return mean;
}

TEST(MaskFeatures, are_the_same_at_16_and_48_kHz) {
  const auto slow = features_at(16000);
  const auto fast = features_at(48000);
  for (std::size_t i = 0; i < slow.size(); ++i) {
    // Bins are 31 and 47 Hz wide: the narrowest bands cut lines a little differently.
    EXPECT_NEAR(slow[i], fast[i], i < 3 * MaskBands::kBands ? 0.12 : 0.1) << i;
  }
}

TEST(MaskFeatures, tell_coherence_and_silence) {
  const int hop = 160;
  auto analysis = StftAnalysis::create(2, hop).value();
  MaskFeatures features(16000, hop);
  FrameBuffer in(2, hop);
  SpectrumBuffer x(2, analysis->bins());
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.1F);
  std::vector<float> same, other;
  for (int t = 0; t < 100; ++t) {
    for (int i = 0; i < hop; ++i) {
      in[0][static_cast<std::size_t>(i)] = normal(random);
      in[1][static_cast<std::size_t>(i)] = normal(random);
    }
    analysis->process(in, x);
    const auto a = features.process(x[0], x[0], x[0]);
    same.assign(a.begin(), a.end());
  }
  features.reset();
  for (int t = 0; t < 100; ++t) {
    for (int i = 0; i < hop; ++i) {
      in[0][static_cast<std::size_t>(i)] = normal(random);
      in[1][static_cast<std::size_t>(i)] = normal(random);
    }
    analysis->process(in, x);
    const auto a = features.process(x[0], x[1], {});
    other.assign(a.begin(), a.end());
  }
  for (int b = 0; b < MaskBands::kBands; ++b) {
    const auto i = static_cast<std::size_t>(b);
    EXPECT_GT(same[3 * MaskBands::kBands + i], 0.8F);
    EXPECT_LT(other[3 * MaskBands::kBands + i], 0.6F);
    EXPECT_FLOAT_EQ(other[2 * MaskBands::kBands + i], -2.0F);
  }
}

TEST(LearnedMask, knows_its_two_rates_alone) {
  EXPECT_TRUE(LearnedMask::create(16000, 160).ok());
  EXPECT_TRUE(LearnedMask::create(48000, 480).ok());
  EXPECT_FALSE(LearnedMask::create(44100, 441).ok());
  EXPECT_FALSE(LearnedMask::create(48000, 960).ok());
}

TEST(LearnedMask, forgets_what_is_not_a_number) {
  auto mask = LearnedMask::create(48000, 480).value();
  SpectrumBuffer x(1, 513);
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 1);
  const auto heard = [&](float bad) {
    mask->reset();
    for (int t = 0; t < 60; ++t) {
      for (auto& v : x[0]) v = {normal(random), normal(random)};
      if (t == 10) std::ranges::fill(x[0], std::complex<float>(bad, 1e30F));
      realtime::Scope guard;
      mask->process(x[0], x[0], x[0]);
    }
    bool sane = true;
    for (const float g : mask->echo_gain()) sane = sane && g >= 0 && g <= 1;
    for (const float g : mask->near_gain()) sane = sane && g >= 0 && g <= 1;
    return sane;
  };
  EXPECT_TRUE(heard(std::numeric_limits<float>::quiet_NaN()));
  EXPECT_TRUE(heard(std::numeric_limits<float>::infinity()));
  EXPECT_TRUE(heard(1e30F));
  EXPECT_TRUE(heard(1e-42F));
}

}  // namespace
}  // namespace conclave::dsp
