// SPDX-License-Identifier: Apache-2.0
#include "dsp/enhance/noise_suppressor.h"

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <string>

#include "dsp/enhance/noise_tracker.h"

namespace conclave::dsp {
namespace {

using Row = Eigen::Map<Eigen::ArrayXf>;

constexpr float kPriorKeep = 0.96F;      // decision-directed weight of the last frame
constexpr float kLeastPrior = 0.003F;    // -25 dB
constexpr float kPresencePrior = 10.0F;  // expected SNR of smoothed speech, 10 dB
constexpr float kMaxPosterior = 1000.0F;

/// exp(E1(v) / 2), the factor by which the log-spectral estimator differs from Wiener's, as a table
/// over the float's exponent and six bits of mantissa: v from 2^-14 to 2^6.
class LogSpectralTable {
 public:
  LogSpectralTable() {
    for (std::size_t i = 0; i < table_.size(); ++i) {
      const auto bits = static_cast<std::uint32_t>((i << kShift) + kBase + (1U << (kShift - 1)));
      table_[i] = static_cast<float>(
          std::exp(-0.5 * std::expint(-static_cast<double>(std::bit_cast<float>(bits)))));
    }
  }
  float operator()(float v) const noexcept {
    const auto bits = std::bit_cast<std::uint32_t>(std::clamp(v, kLeast, kMost));
    return table_[(bits - kBase) >> kShift];
  }

 private:
  static constexpr int kShift = 23 - 6;
  static constexpr float kLeast = 0x1p-14F;
  static constexpr float kMost = 0x1.fp5F;
  static constexpr std::uint32_t kBase = std::bit_cast<std::uint32_t>(kLeast);
  std::array<float, 20 * 64> table_{};
};

/// Mean over k - reach .. k + reach, by running sums.
void smooth(const float* in, float* out, int count, int reach) noexcept {
  float sum = 0;
  int low = 0;
  int high = -1;
  for (int k = 0; k < count; ++k) {
    while (high < std::min(count - 1, k + reach)) sum += in[++high];
    while (low < k - reach) sum -= in[low++];
    out[k] = sum / static_cast<float>(high - low + 1);
  }
}

float to_db(float power) { return 10 * std::log10(power + 1e-12F); }

}  // namespace

struct NoiseSuppressor::State {
  NoiseSuppressorConfig config;
  NoiseSuppressorParams params;
  int bins = 0;
  int speech_low = 0;  // bins of 300..4000 Hz
  int speech_high = 0;
  float level_scale = 1;
  NoiseTracker tracker;
  LogSpectralTable table;
  FrameBuffer rows;    // power, posterior, clean (last |S|^2 / N), smoothed posterior, scratch x 2
  float floor_db = 0;  // present depth, ramps towards the parameter
  NoiseSuppressorMetrics metrics;

  Row row(int r) { return {rows[r].data(), static_cast<Eigen::Index>(bins)}; }
};

namespace {
enum RowName { kPower, kPosterior, kClean, kSmoothed, kScratch, kScratch2, kRows };
}  // namespace

NoiseSuppressor::NoiseSuppressor(std::unique_ptr<State> state) : state_(std::move(state)) {}
NoiseSuppressor::~NoiseSuppressor() = default;

Result<std::unique_ptr<NoiseSuppressor>> NoiseSuppressor::create(
    const NoiseSuppressorConfig& config) {
  if (config.sample_rate < 8000 || config.sample_rate > 192000 || config.fft_size < 64 ||
      config.fft_size > 16384 || config.hop < 1 || 2 * config.hop > config.fft_size) {
    return Error{"noise suppressor: rate " + std::to_string(config.sample_rate) +
                 ", transform size " + std::to_string(config.fft_size) + " and hop " +
                 std::to_string(config.hop) + " do not fit together"};
  }
  auto state = std::make_unique<State>();
  State& s = *state;
  s.config = config;
  s.bins = config.fft_size / 2 + 1;
  const float hz = static_cast<float>(config.sample_rate) / static_cast<float>(config.fft_size);
  s.speech_low = static_cast<int>(std::lround(300 / hz));
  s.speech_high = std::min(s.bins, static_cast<int>(std::lround(4000 / hz)) + 1);
  s.level_scale = 2.0F / (static_cast<float>(config.fft_size) * static_cast<float>(config.hop));
  s.tracker =
      NoiseTracker(s.bins, static_cast<float>(config.hop) / static_cast<float>(config.sample_rate));
  s.rows = FrameBuffer(kRows, s.bins);
  std::unique_ptr<NoiseSuppressor> suppressor(new NoiseSuppressor(std::move(state)));
  suppressor->reset();
  return suppressor;
}

void NoiseSuppressor::set_params(const NoiseSuppressorParams& params) noexcept {
  state_->params.enabled = params.enabled;
  if (std::isfinite(params.max_reduction_db)) {
    state_->params.max_reduction_db = std::clamp(params.max_reduction_db, 0.0F, 40.0F);
  }
}

void NoiseSuppressor::reset() noexcept {
  State& s = *state_;
  s.tracker.reset();
  s.rows.clear();
  s.floor_db = s.params.enabled ? s.params.max_reduction_db : 0;
  s.metrics = {};
}

void NoiseSuppressor::process(SpectrumView inout, std::span<float> gain, bool adapt) noexcept {
  State& s = *state_;
  assert(inout.frames() == s.bins && static_cast<int>(gain.size()) == s.bins);
  const auto y = inout[0];
  Row power = s.row(kPower);
  for (int k = 0; k < s.bins; ++k) power[k] = std::norm(y[static_cast<std::size_t>(k)]);
  const float total = power.sum();
  Row g(gain.data(), s.bins);
  if (!std::isfinite(total)) {
    std::fill(y.begin(), y.end(), std::complex<float>{});
    g.setZero();
    s.metrics.speech_probability = 0;
    return;
  }
  s.tracker.update({power.data(), static_cast<std::size_t>(s.bins)}, adapt);
  const std::span<const float> noise_span = s.tracker.noise();
  const Eigen::Map<const Eigen::ArrayXf> noise(noise_span.data(), s.bins);

  Row posterior = s.row(kPosterior);
  Row clean = s.row(kClean);
  Row smoothed = s.row(kSmoothed);
  Row scratch = s.row(kScratch);
  Row presence = s.row(kScratch2);
  posterior = (power / noise).min(kMaxPosterior);

  // A-priori SNR, decision-directed.
  scratch = (kPriorKeep * clean + (1 - kPriorKeep) * (posterior - 1).max(0.0F)).max(kLeastPrior);

  // Presence from the posterior SNR smoothed over time and neighbours: single noisy bins do not
  // pass.
  smooth(posterior.data(), presence.data(), s.bins, 2);
  smoothed += 0.4F * (presence - smoothed);
  presence =
      1 / (1 + (1 + kPresencePrior) *
                   (-(smoothed * (2 * kPresencePrior / (1 + kPresencePrior))).min(40.0F)).exp());

  const float wanted = s.params.enabled ? s.params.max_reduction_db : 0;
  s.floor_db += std::clamp(wanted - s.floor_db, -1.0F, 1.0F);
  const float floor = std::pow(10.0F, -s.floor_db / 20);
  for (int k = 0; k < s.bins; ++k) {
    const float wiener = scratch[k] / (1 + scratch[k]);
    const float lsa = std::min(1.0F, wiener * s.table(wiener * posterior[k]));
    clean[k] = lsa * lsa * posterior[k];
    g[k] = std::max(lsa, 1e-4F);
  }
  // Geometric weighting (Cohen 2002): log gain = p log G + (1 - p) log floor.
  g = (presence * g.log() + (1 - presence) * std::log(floor)).exp().max(floor);

  float left = 0;
  for (int k = 0; k < s.bins; ++k) {
    y[static_cast<std::size_t>(k)] *= g[k];
    left += power[k] * g[k] * g[k];
  }

  const std::span<const float> bins = s.tracker.presence();
  float mean = 0;
  for (int k = s.speech_low; k < s.speech_high; ++k) mean += bins[static_cast<std::size_t>(k)];
  mean /= static_cast<float>(s.speech_high - s.speech_low);
  s.metrics.speech_probability = 1 / (1 + std::exp((0.22F - mean) / 0.03F));
  const float noise_total = noise.sum();
  s.metrics.noise_dbfs = to_db(noise_total * s.level_scale);
  s.metrics.snr_db = to_db(total / (noise_total + 1e-20F));
  s.metrics.reduction_db = total > 0 ? to_db(total / (left + 1e-20F)) : 0;
}

std::span<const float> NoiseSuppressor::noise_power() const noexcept {
  return state_->tracker.noise();
}

const NoiseSuppressorMetrics& NoiseSuppressor::metrics() const noexcept { return state_->metrics; }

}  // namespace conclave::dsp
