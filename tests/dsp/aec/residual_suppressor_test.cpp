// SPDX-License-Identifier: Apache-2.0
#include "dsp/aec/residual_suppressor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/realtime.h"
#include "dsp/aec/echo_canceller.h"
#include "dsp/transform/stft.h"
#include "tests/dsp/aec/echo_room.h"

namespace conclave::dsp {
namespace {

using namespace echo_room;  // NOLINT(google-build-using-namespace)

/// Canceller and suppressor as the chain has them; what is sent, and what became of the near
/// talker alone, both one hop late.
struct Chain {
  explicit Chain(int sample_rate) : rate(sample_rate), hop(sample_rate / 100) {
    EchoCancellerConfig config;
    config.sample_rate = rate;
    config.hop = hop;
    aec = EchoCanceller::create(config).value();
    analysis = StftAnalysis::create(4, hop).value();
    synthesis = StftSynthesis::create(2, hop).value();
    suppressor = ResidualSuppressor::create({rate, hop, analysis->bins()}).value();
  }
  void run(const Signal& far, const Signal& echo, const Signal& near, const Signal& noise) {
    const int bins = analysis->bins();
    FrameBuffer mic(1, hop), far_block(1, hop), out(1, hop), estimate(1, hop), time(4, hop),
        result(2, hop);
    SpectrumBuffer spectra(4, bins), sent_spectra(2, bins);
    std::vector<float> gain(static_cast<std::size_t>(bins));
    const auto h = static_cast<std::size_t>(hop);
    for (std::size_t n = 0; n + h <= far.size(); n += h) {
      for (std::size_t i = 0; i < h; ++i) {
        far_block[0][i] = far[n + i];
        mic[0][i] = echo[n + i] + near[n + i] + noise[n + i];
        time[3][i] = near[n + i];
      }
      realtime::Scope scope;
      aec->process(mic, far_block, out, estimate);
      std::copy(out[0].begin(), out[0].end(), time[0].begin());
      std::copy(estimate[0].begin(), estimate[0].end(), time[1].begin());
      std::copy(far_block[0].begin(), far_block[0].end(), time[2].begin());
      analysis->process(time, spectra);
      const ConstSpectrumView s = spectra;
      std::copy(s[0].begin(), s[0].end(), sent_spectra[0].begin());
      suppressor->process(s.rows(0, 1), s.rows(1, 1), s.rows(2, 1), sent_spectra.view().rows(0, 1),
                          gain);
      for (std::size_t k = 0; k < gain.size(); ++k) sent_spectra[1][k] = s[3][k] * gain[k];
      synthesis->process(sent_spectra, result);
      realtime::Exempt exempt;
      sent.insert(sent.end(), result[0].begin(), result[0].end());
      near_sent.insert(near_sent.end(), result[1].begin(), result[1].end());
    }
  }
  std::size_t at(double seconds) const { return static_cast<std::size_t>(seconds * rate); }

  int rate;
  int hop;
  std::unique_ptr<EchoCanceller> aec;
  std::unique_ptr<StftAnalysis> analysis;
  std::unique_ptr<StftSynthesis> synthesis;
  std::unique_ptr<ResidualSuppressor> suppressor;
  Signal sent;
  Signal near_sent;
};

class ResidualSuppressorAt : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Rates, ResidualSuppressorAt, testing::Values(16000, 48000));

TEST_P(ResidualSuppressorAt, far_end_alone_through_a_distorting_loudspeaker) {
  Chain chain(GetParam());
  const int rate = chain.rate;
  const Signal far = speech(chain.at(8), rate, 0.1, 1);
  const Signal echo = convolve(loudspeaker(far, 2.5), room_response(rate, 0.4, 5, -3, 11));
  const Signal noise = white(far.size(), 0.0007, 5);
  chain.run(far, echo, Signal(far.size(), 0.0F), noise);
  Signal mic = echo;
  add(mic, noise);
  EXPECT_GT(
      db(power(mic, chain.at(2), chain.at(7.9)) / power(chain.sent, chain.at(2), chain.at(7.9))),
      35);
  EXPECT_LT(chain.suppressor->metrics().near_probability, 0.3);
}

TEST_P(ResidualSuppressorAt, double_talk_keeps_the_near_talker) {
  Chain chain(GetParam());
  const int rate = chain.rate;
  const Signal far = speech(chain.at(8), rate, 0.1, 1);
  const Signal echo = convolve(loudspeaker(far, 2.5), room_response(rate, 0.4, 5, -3, 11));
  Signal near = speech(far.size(), rate, 0.08, 99);
  std::fill_n(near.begin(), chain.at(3), 0.0F);
  chain.run(far, echo, near, white(far.size(), 0.0007, 5));
  double wanted = 0, kept = 0, difference = 0;
  const auto hop = static_cast<std::size_t>(chain.hop);
  for (std::size_t i = chain.at(3); i + hop < far.size(); ++i) {
    wanted += std::pow(near[i], 2);
    kept += std::pow(chain.near_sent[i + hop], 2);
    difference += std::pow(chain.near_sent[i + hop] - near[i], 2);
  }
  EXPECT_NEAR(db(kept / wanted), 0, 1.5);
  EXPECT_GT(db(wanted / difference), 10);
}

TEST_P(ResidualSuppressorAt, near_talker_alone_passes_untouched) {
  Chain chain(GetParam());
  const Signal near = speech(chain.at(4), chain.rate, 0.08, 99);
  const Signal none(near.size(), 0.0F);
  chain.run(none, none, near, none);
  double wanted = 0, difference = 0;
  const auto hop = static_cast<std::size_t>(chain.hop);
  for (std::size_t i = 0; i + hop < near.size(); ++i) {
    wanted += std::pow(near[i], 2);
    difference += std::pow(chain.sent[i + hop] - near[i], 2);
  }
  EXPECT_GT(db(wanted / difference), 30);
}

TEST(ResidualSuppressor, invalid_input_never_comes_out) {
  auto suppressor = ResidualSuppressor::create({16000, 160, 257}).value();
  SpectrumBuffer error(1, 257), echo(1, 257), far(1, 257);
  std::vector<float> gain(257);
  const float values[] = {std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity(), 1e30F, 0.1F};
  for (int block = 0; block < 50; ++block) {
    for (std::size_t k = 0; k < 257; ++k) {
      const float bad = block < 20 ? values[(k + static_cast<std::size_t>(block)) % 4] : 0.1F;
      error[0][k] = {bad, 0.1F};
      echo[0][k] = {0.2F, block % 3 == 0 ? bad : 0.0F};
      far[0][k] = {block % 2 == 0 ? bad : 0.3F, 0};
    }
    suppressor->process(std::as_const(error), std::as_const(echo), std::as_const(far), error, gain);
    for (std::size_t k = 0; k < 257; ++k) {
      ASSERT_TRUE(std::isfinite(gain[k]));
      ASSERT_GE(gain[k], 0);
      ASSERT_LE(gain[k], 1);
      ASSERT_TRUE(std::isfinite(error[0][k].real()) && std::isfinite(error[0][k].imag()));
    }
  }
}

TEST(ResidualSuppressor, off_is_a_gain_of_one) {
  auto suppressor = ResidualSuppressor::create({16000, 160, 257}).value();
  suppressor->set_params({false, 1, 60});
  SpectrumBuffer error(1, 257), echo(1, 257), far(1, 257);
  std::vector<float> gain(257);
  for (int block = 0; block < 20; ++block) {
    for (std::size_t k = 0; k < 257; ++k) error[0][k] = echo[0][k] = far[0][k] = 1;
    suppressor->process(std::as_const(error), std::as_const(echo), std::as_const(far), error, gain);
  }
  for (const float g : gain) EXPECT_EQ(g, 1.0F);
}

TEST(ResidualSuppressor, refuses_nonsense) {
  EXPECT_FALSE(ResidualSuppressor::create({0, 480, 513}).ok());
  EXPECT_FALSE(ResidualSuppressor::create({48000, 480, 1}).ok());
  EXPECT_FALSE(ResidualSuppressor::create({48000, 0, 513}).ok());
}

/// Frames of noise at the microphone, with or without a far end; the gain of the last one.
std::vector<float> gains_of_noise(bool far_end, const LearnedEcho& learned, float* near = nullptr) {
  auto suppressor = ResidualSuppressor::create({16000, 160, 257}).value();
  SpectrumBuffer error(1, 257), echo(1, 257), far(1, 257), inout(1, 257);
  std::vector<float> gain(257);
  std::mt19937 random(2);
  std::normal_distribution<float> normal(0, 1);
  for (int t = 0; t < 100; ++t) {
    for (std::size_t k = 0; k < gain.size(); ++k) {
      error[0][k] = inout[0][k] = {normal(random), normal(random)};
      if (far_end) far[0][k] = echo[0][k] = {normal(random), normal(random)};
    }
    realtime::Scope scope;
    suppressor->process(error, echo, far, inout, gain, learned);
  }
  if (near != nullptr) *near = suppressor->metrics().near_probability;
  return gain;
}

TEST(ResidualSuppressor, listens_to_the_learned_mask_only_while_the_far_end_sounds) {
  const std::vector<float> shut(257, 0.0F);
  const std::vector<float> open(257, 1.0F);
  EXPECT_EQ(gains_of_noise(false, {shut, 0.0F}), gains_of_noise(false, {}));
  EXPECT_EQ(gains_of_noise(false, {shut, 1.0F}), gains_of_noise(false, {}));
  const auto mean = [](const std::vector<float>& g) {
    double sum = 0;
    for (const float v : g) sum += static_cast<double>(v);
    return sum / static_cast<double>(g.size());
  };
  // Nobody near: both together. Of somebody the rules hear by the mask.
  EXPECT_LT(mean(gains_of_noise(true, {shut, 0.0F})), 0.01);
  float nobody = 1;
  float somebody = 0;
  gains_of_noise(true, {open, 0.0F}, &nobody);
  gains_of_noise(true, {open, 1.0F}, &somebody);
  EXPECT_GT(somebody, nobody + 0.2F);
}

}  // namespace
}  // namespace conclave::dsp
