// SPDX-License-Identifier: Apache-2.0
#include "dsp/array/satellite_mixer.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <string>

namespace conclave::dsp {
namespace {

constexpr int kBands = 24;  // equal widths on a logarithmic scale
constexpr double kLowHz = 300;
constexpr double kHighHz = 4000;
constexpr float kSpeechSeconds = 0.4F;    // of speech, for the comparison of sources
constexpr float kMatchSeconds = 3.0F;     // of speech, for the level correction
constexpr float kDwellSeconds = 0.25F;    // least time between two choices
constexpr float kSpeechOverNoise = 4.0F;  // a frame whose best source has less is no speech
constexpr float kMostMatchDb = 20;
constexpr float kLeastPower = 1e-12F;
constexpr float kBandSeconds = 0.04F;   // smoothing of band powers before the search for minima
constexpr float kWindowSeconds = 0.8F;  // minima of the last one to two windows count
constexpr float kMinimumBias = 1.25F;   // a minimum of smoothed power lies that much below the mean

float to_db(float ratio) { return 10 * std::log10(std::max(ratio, 1e-12F)); }

}  // namespace

struct SatelliteMixer::State {
  struct Source {
    std::array<float, kBands> bands{};
    std::array<float, kBands> least{};         // in the present window
    std::array<float, kBands> least_before{};  // in the one before
    int frames = 0;                            // in the present window
    bool started = false;
    float speech = 0;  // smoothed speech power in the band, noise taken off
    float noise = 0;   // the noise's
    float now = 0;     // speech of this frame
    float match = 1;   // amplitude towards the beam
    float share = 0;   // power share, ramps
    bool usable = false;
    float gain = 0;  // amplitude in use in this frame
  };
  SatelliteMixerConfig config;
  int bins = 0;
  int sources = 1;
  std::array<int, kBands + 1> edges{};
  std::array<Source, 1 + kMaxSatellites> source;
  int selected = 0;
  float since_change = 0;
  float hop_seconds = 0.01F;
  float band_step = 0.2F;
  float heard = 0;  // seconds of speech, for a fast start of the level match
  SatelliteMixerMetrics metrics;

  bool measure(Source& s, std::span<const std::complex<float>> x, bool adapt) noexcept;
  void listen() noexcept;
  void choose() noexcept;
  void fade() noexcept;
};

/// Band powers, noise and speech of one source. A band holds several bins, so its power varies
/// little and the noise is simply its minimum (Martin 2001). False for what is not a number.
bool SatelliteMixer::State::measure(Source& s, std::span<const std::complex<float>> x,
                                    bool adapt) noexcept {
  std::array<float, kBands> power;
  float total = 0;
  for (std::size_t b = 0; b < kBands; ++b) {
    float sum = 0;
    for (int k = edges[b]; k < edges[b + 1]; ++k) sum += std::norm(x[static_cast<std::size_t>(k)]);
    power[b] = sum;
    total += sum;
  }
  if (!std::isfinite(total)) return false;
  if (adapt && total > kLeastPower) {
    if (!s.started) s.bands = s.least = s.least_before = power;
    s.started = true;
    const bool turn = ++s.frames >= static_cast<int>(kWindowSeconds / hop_seconds);
    if (turn) s.frames = 0;
    for (std::size_t b = 0; b < kBands; ++b) {
      s.bands[b] += band_step * (power[b] - s.bands[b]);
      s.least[b] = std::min(s.least[b], s.bands[b]);
      if (turn) {
        s.least_before[b] = s.least[b];
        s.least[b] = s.bands[b];
      }
    }
  }
  s.noise = s.now = 0;
  for (std::size_t b = 0; b < kBands; ++b) {
    const float n = kMinimumBias * std::min(s.least[b], s.least_before[b]);
    s.noise += n;
    s.now += std::max(0.0F, power[b] - n);
  }
  s.noise = std::max(s.noise, kLeastPower);
  return true;
}

/// Takes the frame into the speech levels when somebody speaks.
void SatelliteMixer::State::listen() noexcept {
  float best = 0;
  for (int i = 0; i < sources; ++i) {
    const Source& s = source[static_cast<std::size_t>(i)];
    if (s.usable) best = std::max(best, s.now / s.noise);
  }
  if (best < kSpeechOverNoise) return;
  heard += hop_seconds;
  const float step = std::max(1 - std::exp(-hop_seconds / kSpeechSeconds), hop_seconds / heard);
  for (int i = 0; i < sources; ++i) {
    Source& s = source[static_cast<std::size_t>(i)];
    if (s.usable) s.speech += std::min(1.0F, step) * (s.now - s.speech);
  }
  const Source& beam = source[0];
  if (beam.speech < kLeastPower || heard < 0.3F) return;
  const float most = std::pow(10.0F, kMostMatchDb / 20);
  const float slow = std::max(1 - std::exp(-hop_seconds / kMatchSeconds), hop_seconds / heard);
  for (int i = 1; i < sources; ++i) {
    Source& s = source[static_cast<std::size_t>(i)];
    if (!s.usable || s.speech < kLeastPower) continue;
    const float wanted = std::clamp(std::sqrt(beam.speech / s.speech), 1 / most, most);
    s.match *= std::pow(wanted / s.match, std::min(1.0F, slow));
  }
}

void SatelliteMixer::State::choose() noexcept {
  since_change += hop_seconds;
  Source& now = source[static_cast<std::size_t>(selected)];
  if (!now.usable) {
    selected = 0;
    since_change = 0;
  }
  if (since_change < kDwellSeconds || heard < 0.15F) return;
  const auto quality = [&](int i) {
    const Source& s = source[static_cast<std::size_t>(i)];
    return s.speech / s.noise;
  };
  int best = selected;
  float most = quality(selected) * std::pow(10.0F, config.hysteresis_db / 10);
  for (int i = 0; i < sources; ++i) {
    if (source[static_cast<std::size_t>(i)].usable && i != selected && quality(i) > most) {
      most = quality(i);
      best = i;
    }
  }
  if (best != selected) {
    selected = best;
    since_change = 0;
  }
}

/// Steps the shares; powers keep the sum of 1, so that a change between two places in the room,
/// whose sounds differ in phase, is not heard as a dip.
void SatelliteMixer::State::fade() noexcept {
  const float step = std::min(1.0F, hop_seconds * 1000 / std::max(1.0F, config.fade_ms));
  float others = 0;
  for (int i = 0; i < sources; ++i) {
    if (i == selected) continue;
    Source& s = source[static_cast<std::size_t>(i)];
    s.share = s.usable ? std::max(0.0F, s.share - step) : 0.0F;
    others += s.share;
  }
  Source& chosen = source[static_cast<std::size_t>(selected)];
  chosen.share = std::max(0.0F, 1 - others);
  for (int i = 0; i < sources; ++i) {
    Source& s = source[static_cast<std::size_t>(i)];
    s.gain = std::sqrt(s.share) * s.match;
    metrics.share[static_cast<std::size_t>(i)] = s.share;
    metrics.snr_db[static_cast<std::size_t>(i)] = to_db(s.speech / std::max(s.noise, kLeastPower));
    metrics.match_db[static_cast<std::size_t>(i)] = 2 * to_db(s.match);
  }
  metrics.selected = selected;
}

SatelliteMixer::SatelliteMixer(std::unique_ptr<State> state) : state_(std::move(state)) {}
SatelliteMixer::~SatelliteMixer() = default;

Result<std::unique_ptr<SatelliteMixer>> SatelliteMixer::create(const SatelliteMixerConfig& config) {
  if (config.satellites < 0 || config.satellites > kMaxSatellites) {
    return Error{"satellite mixer: 0 to " + std::to_string(kMaxSatellites) +
                 " satellites are possible"};
  }
  if (config.sample_rate < 16000 || config.sample_rate > 192000 || config.fft_size < 256 ||
      config.fft_size > 16384 || config.hop < 1 || config.hop > config.fft_size ||
      !(config.fade_ms >= 0 && config.fade_ms <= 2000) ||
      !(config.hysteresis_db >= 0 && config.hysteresis_db <= 20)) {
    return Error{
        "satellite mixer: rate from 16 kHz, transform from 256, fade 0..2000 ms, "
        "hysteresis 0..20 dB"};
  }
  auto state = std::make_unique<State>();
  State& s = *state;
  s.config = config;
  s.bins = config.fft_size / 2 + 1;
  s.sources = 1 + config.satellites;
  s.hop_seconds = static_cast<float>(config.hop) / static_cast<float>(config.sample_rate);
  const double hz = static_cast<double>(config.sample_rate) / config.fft_size;
  for (std::size_t b = 0; b <= kBands; ++b) {
    const double f = kLowHz * std::pow(kHighHz / kLowHz, static_cast<double>(b) / kBands);
    s.edges[b] = static_cast<int>(std::lround(f / hz));
    if (b > 0) s.edges[b] = std::max(s.edges[b], s.edges[b - 1] + 1);
  }
  s.band_step = 1 - std::exp(-s.hop_seconds / kBandSeconds);
  std::unique_ptr<SatelliteMixer> mixer(new SatelliteMixer(std::move(state)));
  mixer->reset();
  return mixer;
}

void SatelliteMixer::reset() noexcept {
  State& s = *state_;
  s.source.fill({});
  s.source[0].share = s.source[0].gain = 1;
  s.selected = 0;
  s.since_change = 0;
  s.heard = 0;
  s.metrics = {};
  s.metrics.share[0] = 1;
}

void SatelliteMixer::process(ConstSpectrumView beam, ConstSpectrumView satellites,
                             std::span<const bool> synced, bool adapt, SpectrumView out) noexcept {
  State& s = *state_;
  assert(beam.frames() == s.bins && out.frames() == s.bins);
  assert(satellites.channels() >= s.config.satellites);
  assert(static_cast<int>(synced.size()) >= s.config.satellites);
  s.source[0].usable = s.measure(s.source[0], beam[0], adapt);
  for (int i = 0; i < s.config.satellites; ++i) {
    auto& source = s.source[static_cast<std::size_t>(i + 1)];
    const bool valid = s.measure(source, satellites[i], adapt);
    source.usable = valid && synced[static_cast<std::size_t>(i)];
  }
  if (adapt) s.listen();
  if (adapt || !s.source[static_cast<std::size_t>(s.selected)].usable) s.choose();
  s.fade();
  apply(beam, satellites, out);
}

void SatelliteMixer::apply(ConstSpectrumView beam, ConstSpectrumView satellites,
                           SpectrumView out) const noexcept {
  const State& s = *state_;
  auto y = out[0];
  const auto b = beam[0];
  const float gain = s.source[0].gain;
  float check = 0;
  for (std::size_t k = 0; k < y.size(); ++k) {
    y[k] = gain * b[k];
    check += y[k].real() * 0 + y[k].imag() * 0;
  }
  if (check != 0) std::fill(y.begin(), y.end(), std::complex<float>{});
  for (int i = 0; i < s.config.satellites; ++i) {
    const float g = s.source[static_cast<std::size_t>(i + 1)].gain;
    if (g == 0) continue;
    const auto x = satellites[i];
    for (std::size_t k = 0; k < y.size(); ++k) y[k] += g * x[k];
  }
}

const SatelliteMixerMetrics& SatelliteMixer::metrics() const noexcept { return state_->metrics; }

}  // namespace conclave::dsp
