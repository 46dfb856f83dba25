// SPDX-License-Identifier: Apache-2.0
#include "dsp/enhance/comfort_noise.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <complex>
#include <numbers>
#include <string>

namespace conclave::dsp {
namespace {

constexpr std::uint32_t kSeed = 0x9E3779B9U;
constexpr int kPhases = 1024;

}  // namespace

struct ComfortNoise::State {
  int bins = 0;
  float power_scale = 1;  // for the overlap of independent frames
  float level_scale = 1;  // bin power -> mean square of the samples
  std::uint32_t random = kSeed;
  float added_dbfs = -120;
  std::array<std::complex<float>, kPhases> phases;
};

ComfortNoise::ComfortNoise(std::unique_ptr<State> state) : state_(std::move(state)) {}
ComfortNoise::~ComfortNoise() = default;

Result<std::unique_ptr<ComfortNoise>> ComfortNoise::create(const ComfortNoiseConfig& config) {
  if (config.fft_size < 32 || config.fft_size > 16384 || config.hop < 1 ||
      2 * config.hop > config.fft_size) {
    return Error{"comfort noise: a transform of " + std::to_string(config.fft_size) +
                 " does not hold two hops of " + std::to_string(config.hop)};
  }
  auto state = std::make_unique<State>();
  state->bins = config.fft_size / 2 + 1;
  // A frame of real noise of variance v has bin power v * hop (the squared window sums to hop);
  // independent spectra of that power give samples of variance v * hop / size under a squared
  // synthesis window that overlaps to 1. Hence the factor.
  state->power_scale = static_cast<float>(config.fft_size) / static_cast<float>(config.hop);
  state->level_scale =
      2.0F / (static_cast<float>(config.fft_size) * static_cast<float>(config.hop));
  for (int i = 0; i < kPhases; ++i) {
    state->phases[static_cast<std::size_t>(i)] =
        std::polar(1.0F, 2 * std::numbers::pi_v<float> * static_cast<float>(i) / kPhases);
  }
  return std::unique_ptr<ComfortNoise>(new ComfortNoise(std::move(state)));
}

void ComfortNoise::reset() noexcept {
  state_->random = kSeed;
  state_->added_dbfs = -120;
}

void ComfortNoise::process(SpectrumView inout, std::span<const float> gain,
                           std::span<const float> noise_power) noexcept {
  State& s = *state_;
  assert(inout.frames() == s.bins && static_cast<int>(gain.size()) == s.bins &&
         static_cast<int>(noise_power.size()) == s.bins);
  auto y = inout[0];
  float added = 0;
  std::uint32_t random = s.random;
  for (std::size_t k = 0; k < y.size(); ++k) {
    // xorshift32 (Marsaglia 2003). A constant modulus with random phase: in the time domain many
    // bins sum to Gaussian noise all the same, and no bin ever peaks.
    random ^= random << 13;
    random ^= random >> 17;
    random ^= random << 5;
    const float g = gain[k];
    const float want = noise_power[k] * (1 - g * g);
    if (!(want > 0) || !(want < 1e12F)) continue;
    added += want;
    y[k] += std::sqrt(want * s.power_scale) * s.phases[random >> 22];
  }
  s.random = random;
  s.added_dbfs = 10 * std::log10(added * s.level_scale + 1e-12F);
}

ComfortNoiseMetrics ComfortNoise::metrics() const noexcept { return {state_->added_dbfs}; }

}  // namespace conclave::dsp
