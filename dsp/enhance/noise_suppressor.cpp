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

constexpr float kPriorKeep = 0.9F;      // decision-directed weight of the last frame
constexpr float kLeastPrior = 0.003F;   // -25 dB
constexpr float kPresencePrior = 2.5F;  // expected SNR of smoothed speech
constexpr float kPresenceLooks = 8.0F;  // independent values that the smoothing averages
constexpr float kPresenceLearn = 0.25F;
constexpr float kPresenceReachHz =
    375;  // speech is decided on in bands, noise is taken off in bins

// Late reverberation: the power of this long ago, times what the room leaves of it.
constexpr float kTailDelaySeconds = 0.04F;
constexpr float kTailSmoothSeconds = 0.02F;
constexpr float kStartDecay = 0.10F;
constexpr float kLeastDecay = 0.01F;
constexpr float kMostDecay = 0.45F;      // RT60 0.7 s
constexpr float kDecayQuantile = 0.10F;  // the room sets how fast a voice can fall
constexpr float kDecayStep = 0.04F;
constexpr float kMaxPosterior = 1000.0F;

// Powers of the two gains in their product: more than a whole of both together, as each alone
// leaves a little of what the other takes.
constexpr float kEstimatorPower = 0.6F;
constexpr float kLearnedPower = 0.6F;
constexpr float kLeastRefined = 1e-3F;  // of either

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

enum RowName { kPower, kPosterior, kClean, kSmoothed, kScratch, kScratch2, kDisturbance, kRows };

constexpr int kTailHistory = 12;

float to_db(float power) { return 10 * std::log10(power + 1e-12F); }

}  // namespace

struct NoiseSuppressor::State {
  NoiseSuppressorConfig config;
  NoiseSuppressorParams params;
  int bins = 0;
  int speech_low = 0;  // bins of 300..4000 Hz
  int speech_high = 0;
  int presence_reach = 1;
  int tail_delay = 4;
  float tail_keep = 0.6F;
  int tail_at = 0;
  float decay = kStartDecay;  // power left after the delay, learned from the ends of words
  FrameBuffer tail;           // ring of smoothed powers, kTailHistory x bins
  float level_scale = 1;
  NoiseTracker tracker;
  LogSpectralTable table;
  FrameBuffer rows;    // power, posterior, clean (last |S|^2 / N), smoothed posterior, scratch x 2
  float floor_db = 0;  // present depth, ramps towards the parameter
  NoiseSuppressorMetrics metrics;

  Row row(int r) { return {rows[r].data(), static_cast<Eigen::Index>(bins)}; }
  void find_tail(bool adapt) noexcept;
  void learn_decay(const Row& now, const Row& before) noexcept;
};

/// kDisturbance = noise + late reverberation (Lebart, Boucher & Denbigh, Acta Acustica 87, 2001).
void NoiseSuppressor::State::find_tail(bool adapt) noexcept {
  const auto at = [&](int ago) {
    const int r = (tail_at + kTailHistory - ago) % kTailHistory;
    return Row(tail[r].data(), static_cast<Eigen::Index>(bins));
  };
  Row now = at(0);
  now = tail_keep * at(1) + (1 - tail_keep) * row(kPower);
  const Row before = at(tail_delay);
  tail_at = (tail_at + 1) % kTailHistory;
  if (adapt) learn_decay(now, before);
  const Eigen::Map<const Eigen::ArrayXf> noise(tracker.noise().data(), bins);
  row(kDisturbance) = noise + (params.dereverberation * decay) * (before - noise).max(0.0F);
}

/// How fast does the power fall when it falls? No voice can stop faster than its room: a low
/// quantile of the ratio across the delay, over frames that fall from well above the noise, is what
/// the room leaves. Stochastic quantile tracking, on a logarithmic scale.
void NoiseSuppressor::State::learn_decay(const Row& now, const Row& before) noexcept {
  const float* noise = tracker.noise().data();
  float sum = 0;
  float past = 0;
  float floor = 0;
  for (int k = speech_low; k < speech_high; ++k) {
    floor += noise[k];
    sum += std::max(0.0F, now[k] - noise[k]);
    past += std::max(0.0F, before[k] - noise[k]);
  }
  if (past < 10 * floor || sum > 0.8F * past) return;
  const bool below = sum < decay * past;
  decay *= std::exp(kDecayStep * (below ? kDecayQuantile - 1 : kDecayQuantile));
  decay = std::clamp(decay, kLeastDecay, kMostDecay);
}

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
  s.presence_reach = std::max(1, static_cast<int>(std::lround(kPresenceReachHz / hz)));
  s.level_scale = 2.0F / (static_cast<float>(config.fft_size) * static_cast<float>(config.hop));
  s.tracker =
      NoiseTracker(s.bins, static_cast<float>(config.hop) / static_cast<float>(config.sample_rate));
  s.rows = FrameBuffer(kRows, s.bins);
  const float hop = static_cast<float>(config.hop) / static_cast<float>(config.sample_rate);
  s.tail_delay =
      std::clamp(static_cast<int>(std::lround(kTailDelaySeconds / hop)), 1, kTailHistory - 1);
  s.tail_keep = std::exp(-hop / kTailSmoothSeconds);
  s.tail = FrameBuffer(kTailHistory, s.bins);
  std::unique_ptr<NoiseSuppressor> suppressor(new NoiseSuppressor(std::move(state)));
  suppressor->reset();
  return suppressor;
}

void NoiseSuppressor::set_params(const NoiseSuppressorParams& params) noexcept {
  state_->params.enabled = params.enabled;
  state_->params.method = params.method;
  if (std::isfinite(params.max_reduction_db)) {
    state_->params.max_reduction_db = std::clamp(params.max_reduction_db, 0.0F, 40.0F);
  }
  if (std::isfinite(params.dereverberation)) {
    state_->params.dereverberation = std::clamp(params.dereverberation, 0.0F, 2.0F);
  }
}

void NoiseSuppressor::reset() noexcept {
  State& s = *state_;
  s.tracker.reset();
  s.rows.clear();
  s.tail.clear();
  s.tail_at = 0;
  s.decay = kStartDecay;
  s.floor_db = s.params.enabled ? s.params.max_reduction_db : 0;
  s.metrics = {};
}

void NoiseSuppressor::process(SpectrumView inout, std::span<float> gain, bool adapt,
                              std::span<const float> learned) noexcept {
  State& s = *state_;
  assert(learned.empty() || static_cast<int>(learned.size()) == s.bins);
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
  smooth(posterior.data(), presence.data(), s.bins, s.presence_reach);

  // What disturbs a bin is the noise and the room's answer to what was said before.
  Row disturbance = s.row(kDisturbance);
  s.find_tail(adapt);

  // `clean` holds |S|^2 of the last frame.
  posterior = (power / disturbance).min(kMaxPosterior);

  // A-priori SNR, decision-directed.
  scratch = (kPriorKeep * (clean / disturbance).min(kMaxPosterior) +
             (1 - kPriorKeep) * (posterior - 1).max(0.0F))
                .max(kLeastPrior);

  // Presence from the posterior SNR smoothed over time and neighbours: single noisy bins do not
  // pass.
  smoothed += kPresenceLearn * (presence - smoothed);
  presence =
      1 /
      (1 + ((std::log(1 + kPresencePrior) - smoothed * (kPresencePrior / (1 + kPresencePrior))) *
            kPresenceLooks)
               .min(40.0F)
               .max(-40.0F)
               .exp());

  const float wanted = s.params.enabled ? s.params.max_reduction_db : 0;
  s.floor_db += std::clamp(wanted - s.floor_db, -1.0F, 1.0F);
  const float floor = std::pow(10.0F, -s.floor_db / 20);
  for (int k = 0; k < s.bins; ++k) {
    const float wiener = scratch[k] / (1 + scratch[k]);
    const float lsa = std::min(1.0F, wiener * s.table(wiener * posterior[k]));
    clean[k] = lsa * lsa * power[k];
    g[k] = std::max(lsa, 1e-4F);
  }
  // Geometric weighting (Cohen 2002): log gain = p log G + (1 - p) log floor.
  const bool taught = !learned.empty() && s.params.method == NoiseMethod::kLearned;
  g = presence * g.log() + (1 - presence) * std::log(taught ? kLeastRefined : floor);
  if (taught) {
    // The learned gain knows speech from noise but hears in bands; the estimator sees the gaps
    // between a voice's harmonics. Together, as a product of powers.
    const Eigen::Map<const Eigen::ArrayXf> taught_gain(learned.data(), s.bins);
    g = kEstimatorPower * g + kLearnedPower * taught_gain.max(kLeastRefined).log();
  }
  g = g.exp();
  g = g.max(floor);

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
