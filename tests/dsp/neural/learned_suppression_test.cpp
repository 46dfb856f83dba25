// SPDX-License-Identifier: Apache-2.0
//
// The learned mask on people: prompts of a voice that its training never heard.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/realtime.h"
#include "bench/room/voices.h"
#include "dsp/enhance/noise_suppressor.h"
#include "dsp/neural/mask_net.h"
#include "dsp/transform/stft.h"
#include "tests/dsp/array/simulation.h"

namespace conclave::dsp {
namespace {

/// One second of nothing, then sentences of the held-out voice; active RMS 0.05.
std::vector<float> voice(int rate, double seconds) {
  const auto pieces = bench::room::load_utterances("fr", rate, seconds, 5).value();
  std::vector<float> x(static_cast<std::size_t>(rate));
  for (const auto& piece : pieces) {
    for (const float v : piece) x.push_back(0.05F * v);
    x.resize(x.size() + static_cast<std::size_t>(rate) / 3);
  }
  x.resize(static_cast<std::size_t>(seconds * rate) / static_cast<std::size_t>(rate / 100) *
           static_cast<std::size_t>(rate / 100));
  return x;
}

struct Outcome {
  double reduction = 0;  // of noise before the first word, dB
  double sdr_before = 0;
  double sdr_after = 0;
  double near_in_pause = 0;
  double near_in_speech = 0;
};

Outcome run(int rate, double noise_level, NoiseMethod method, double flutter_hz = 0) {
  const int hop = rate / 100;
  const auto speech = voice(rate, 8);
  auto noise = simulation::hum(rate, speech.size(), 4);
  for (std::size_t i = 0; i < noise.size(); ++i) {
    const double phase = 6.2831853 * flutter_hz * static_cast<double>(i) / rate;
    noise[i] *= static_cast<float>(noise_level * std::pow(10, 0.4 * std::sin(phase)));
  }
  auto analysis = StftAnalysis::create(1, hop).value();
  auto synthesis = StftSynthesis::create(1, hop).value();
  auto mask = LearnedMask::create(rate, hop).value();
  auto suppressor =
      NoiseSuppressor::create({.sample_rate = rate, .fft_size = analysis->fft_size(), .hop = hop})
          .value();
  suppressor->set_params({.max_reduction_db = 25, .method = method, .dereverberation = 0});
  suppressor->reset();
  FrameBuffer in(1, hop);
  FrameBuffer out(1, hop);
  SpectrumBuffer x(1, analysis->bins());
  std::vector<float> gain(static_cast<std::size_t>(analysis->bins()));
  Outcome o;
  double pause_in = 0, pause_out = 0, clean = 0, disturbance = 0, error = 0;
  const auto h = static_cast<std::size_t>(hop);
  int pauses = 0, talks = 0;
  for (std::size_t at = 0; at + h <= speech.size(); at += h) {
    for (std::size_t i = 0; i < h; ++i) in[0][i] = speech[at + i] + noise[at + i];
    {
      realtime::Scope guard;
      analysis->process(in, x);
      mask->process(x[0], {}, {});
      suppressor->process(x, gain, true, mask->near_gain());
      synthesis->process(x, out);
    }
    for (const float g : gain) {
      EXPECT_LE(g, 1.0001F) << "never louder";
      EXPECT_GE(g, 0.0F);
    }
    if (at < h) continue;
    const std::size_t was = at - h;
    double level = 0;
    for (std::size_t i = 0; i < h; ++i) level += std::abs(static_cast<double>(speech[was + i]));
    level /= hop;
    const double time = static_cast<double>(at) / rate;
    if (time > 0.5 && time < 0.95) {
      ++pauses;
      o.near_in_pause += static_cast<double>(mask->near_probability());
    } else if (level > 0.03) {
      ++talks;
      o.near_in_speech += static_cast<double>(mask->near_probability());
    }
    for (std::size_t i = 0; i < h; ++i) {
      const double s = static_cast<double>(speech[was + i]);
      const double n = static_cast<double>(noise[was + i]);
      const double y = static_cast<double>(out[0][i]);
      if (time > 0.5 && time < 0.95) {
        pause_in += n * n;
        pause_out += y * y;
      } else if (time > 1) {
        clean += s * s;
        disturbance += n * n;
        error += (y - s) * (y - s);
      }
    }
  }
  o.near_in_pause /= pauses;
  o.near_in_speech /= talks;
  o.reduction = 10 * std::log10(pause_in / pause_out);
  o.sdr_before = 10 * std::log10(clean / disturbance);
  o.sdr_after = 10 * std::log10(clean / error);
  return o;
}

TEST(LearnedNoiseSuppression, takes_ventilation_and_keeps_a_voice_never_heard) {
  for (const int rate : {16000, 48000}) {
    const Outcome o = run(rate, 0.02, NoiseMethod::kLearned);
    EXPECT_GT(o.reduction, 20) << rate;
    EXPECT_GT(o.sdr_after, o.sdr_before + 2) << rate;
    EXPECT_LT(o.near_in_pause, 0.3) << rate;
    EXPECT_GT(o.near_in_speech, 0.6) << rate;
  }
}

TEST(LearnedNoiseSuppression, leaves_clean_speech_nearly_alone) {
  const Outcome o = run(16000, 0.0002, NoiseMethod::kLearned);
  EXPECT_GT(o.sdr_after, 20);
}

TEST(LearnedNoiseSuppression, knows_noise_that_flutters) {
  // Statistics hold what comes and goes for speech.
  const Outcome learned = run(16000, 0.02, NoiseMethod::kLearned, 5);
  const Outcome classical = run(16000, 0.02, NoiseMethod::kClassical, 5);
  EXPECT_GT(learned.reduction, classical.reduction + 10);
}

}  // namespace
}  // namespace conclave::dsp
