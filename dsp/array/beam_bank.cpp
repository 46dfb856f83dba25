// SPDX-License-Identifier: Apache-2.0
#include "dsp/array/beam_bank.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>
#include <string>

#include "dsp/array/superdirective.h"

namespace conclave::dsp {
namespace {

using Complex = std::complex<float>;

/// Smallest signed difference a - b on the circle, degrees.
float turn(float a, float b) {
  const float d = std::remainder(a - b, 360.0F);
  return d;
}

/// out = sum over microphones of weights * in; weights are stored conjugated. Plain floats, so that
/// the compiler vectorises over bins.
void filter_sum(ConstSpectrumView weights, ConstSpectrumView in, std::span<Complex> out) noexcept {
  const int bins = static_cast<int>(out.size());
  auto* __restrict y = reinterpret_cast<float*>(out.data());
  for (int m = 0; m < in.channels(); ++m) {
    const auto* __restrict w = reinterpret_cast<const float*>(weights[m].data());
    const auto* __restrict x = reinterpret_cast<const float*>(in[m].data());
    if (m == 0) {
      for (int k = 0; k < bins; ++k) {
        y[2 * k] = w[2 * k] * x[2 * k] - w[2 * k + 1] * x[2 * k + 1];
        y[2 * k + 1] = w[2 * k] * x[2 * k + 1] + w[2 * k + 1] * x[2 * k];
      }
    } else {
      for (int k = 0; k < bins; ++k) {
        y[2 * k] += w[2 * k] * x[2 * k] - w[2 * k + 1] * x[2 * k + 1];
        y[2 * k + 1] += w[2 * k] * x[2 * k + 1] + w[2 * k + 1] * x[2 * k];
      }
    }
  }
}

/// What is not a number comes out as silence; x - x is 0 for every finite x.
void silence_invalid(std::span<Complex> out) noexcept {
  auto* y = reinterpret_cast<float*>(out.data());
  float sum = 0;
  for (std::size_t i = 0; i < 2 * out.size(); ++i) sum += y[i] - y[i];
  if (sum == 0) return;
  for (Complex& z : out) {
    if (!std::isfinite(z.real()) || !std::isfinite(z.imag())) z = 0;
  }
}

}  // namespace

struct BeamBank::State {
  BeamBankConfig config;
  int microphones = 0;
  int bins = 0;
  SpectrumBuffer bank;     // (beams * microphones) x bins, conjugated
  SpectrumBuffer from;     // microphones x bins: the weights when the fade began
  SpectrumBuffer current;  // microphones x bins
  int fade_steps = 1;
  int step = 0;
  int beam = 0;
  bool started = false;

  ConstSpectrumView weights(int b) const { return bank.view().rows(b * microphones, microphones); }
  float azimuth(int b) const {
    return 360.0F * static_cast<float>(b) / static_cast<float>(config.beams);
  }
};

BeamBank::BeamBank(std::unique_ptr<State> state) : state_(std::move(state)) {}
BeamBank::~BeamBank() = default;

Result<std::unique_ptr<BeamBank>> BeamBank::create(const BeamBankConfig& config) {
  CONCLAVE_CHECK_STATUS(check_geometry(config.geometry));
  if (config.sample_rate < 8000 || config.sample_rate > 192000 || config.fft_size < 32 ||
      config.fft_size > 16384 || config.fft_size % 2 != 0 || config.hop < 1) {
    return Error{"beams: rate " + std::to_string(config.sample_rate) + ", transform size " +
                 std::to_string(config.fft_size) + " and hop " + std::to_string(config.hop) +
                 " do not fit together"};
  }
  if (config.beams < 1 || config.beams > 180) return Error{"beams: 1 to 180 looks are possible"};
  if (!(config.elevation_deg >= 0 && config.elevation_deg <= 85)) {
    return Error{"beams: the elevation must be 0 to 85 degrees"};
  }
  if (!(config.min_wng_db >= -30 && config.min_wng_db <= 12) ||
      !(config.fade_ms >= 0 && config.fade_ms <= 2000)) {
    return Error{"beams: white-noise gain -30..12 dB, fade 0..2000 ms"};
  }
  auto state = std::make_unique<State>();
  State& s = *state;
  s.config = config;
  s.microphones = static_cast<int>(config.geometry.ring.size());
  if (s.microphones == 1) s.config.beams = 1;
  s.bins = config.fft_size / 2 + 1;
  s.bank = SpectrumBuffer(s.config.beams * s.microphones, s.bins);
  s.from = SpectrumBuffer(s.microphones, s.bins);
  s.current = SpectrumBuffer(s.microphones, s.bins);
  s.fade_steps =
      std::max(1, static_cast<int>(std::lround(static_cast<double>(config.fade_ms) *
                                               config.sample_rate / (1000.0 * config.hop))));
  std::vector<std::complex<double>> w(static_cast<std::size_t>(s.microphones));
  for (int k = 0; k < s.bins; ++k) {
    const double frequency = static_cast<double>(k) * config.sample_rate / config.fft_size;
    const SuperdirectiveDesigner designer(config.geometry.ring, frequency,
                                          config.geometry.speed_of_sound);
    for (int b = 0; b < s.config.beams; ++b) {
      designer.weights(direction_vector(s.azimuth(b), config.elevation_deg), config.min_wng_db, w);
      for (int m = 0; m < s.microphones; ++m) {
        s.bank[b * s.microphones + m][static_cast<std::size_t>(k)] =
            Complex(std::conj(w[static_cast<std::size_t>(m)]));
      }
    }
  }
  std::unique_ptr<BeamBank> bank(new BeamBank(std::move(state)));
  bank->reset();
  return bank;
}

void BeamBank::reset() noexcept {
  State& s = *state_;
  s.beam = 0;
  s.started = false;
  s.step = s.fade_steps;
  copy(s.weights(0), s.current.view());
}

void BeamBank::process(ConstSpectrumView ring, float azimuth_deg, SpectrumView out) noexcept {
  State& s = *state_;
  assert(ring.channels() == s.microphones && ring.frames() == s.bins && out.frames() == s.bins);
  if (std::isfinite(azimuth_deg) && s.config.beams > 1) {
    const float spacing = 360.0F / static_cast<float>(s.config.beams);
    if (!s.started || std::abs(turn(azimuth_deg, s.azimuth(s.beam))) > 0.7F * spacing) {
      int next = static_cast<int>(std::lround(turn(azimuth_deg, 0.0F) / spacing));
      next = (next + s.config.beams) % s.config.beams;
      if (!s.started) {
        // Nothing was heard yet: no reason to fade from a look that nobody asked for.
        s.beam = next;
        s.step = s.fade_steps;
        copy(s.weights(next), s.current.view());
      } else if (next != s.beam) {
        s.beam = next;
        s.step = 0;
        copy<Complex>(s.current.view(), s.from.view());
      }
    }
    s.started = true;
  }
  if (s.step < s.fade_steps) {
    ++s.step;
    // Raised cosine: no corner at either end of the fade.
    const float t = 0.5F - 0.5F * std::cos(std::numbers::pi_v<float> * static_cast<float>(s.step) /
                                           static_cast<float>(s.fade_steps));
    const ConstSpectrumView target = s.weights(s.beam);
    for (int m = 0; m < s.microphones; ++m) {
      const auto* a = reinterpret_cast<const float*>(s.from[m].data());
      const auto* b = reinterpret_cast<const float*>(target[m].data());
      auto* w = reinterpret_cast<float*>(s.current[m].data());
      for (int i = 0; i < 2 * s.bins; ++i) w[i] = a[i] + t * (b[i] - a[i]);
    }
  }
  apply(ring, out);
}

void BeamBank::apply(ConstSpectrumView other, SpectrumView out) const noexcept {
  const State& s = *state_;
  assert(other.channels() == s.microphones && other.frames() == s.bins);
  filter_sum(s.current, other, out[0]);
  silence_invalid(out[0]);
}

BeamBankMetrics BeamBank::metrics() const noexcept {
  const State& s = *state_;
  return {s.beam, s.azimuth(s.beam), static_cast<float>(s.step) / static_cast<float>(s.fade_steps)};
}

int BeamBank::beams() const noexcept { return state_->config.beams; }
float BeamBank::beam_azimuth_deg(int beam) const noexcept { return state_->azimuth(beam); }

namespace {

BeamWeights export_weights(const BeamBankConfig& config, float azimuth, ConstSpectrumView stored) {
  BeamWeights out;
  out.look = direction_vector(azimuth, config.elevation_deg);
  for (int k = 0; k < stored.frames(); ++k) {
    out.frequencies_hz.push_back(static_cast<double>(k) * config.sample_rate / config.fft_size);
    for (int m = 0; m < stored.channels(); ++m) {
      out.weights.emplace_back(std::conj(stored[m][static_cast<std::size_t>(k)]));
    }
  }
  return out;
}

}  // namespace

BeamWeights BeamBank::export_current() const {
  return export_weights(state_->config, state_->azimuth(state_->beam), state_->current);
}

BeamWeights BeamBank::export_beam(int beam) const {
  return export_weights(state_->config, state_->azimuth(beam), state_->weights(beam));
}

}  // namespace conclave::dsp
