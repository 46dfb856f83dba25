// SPDX-License-Identifier: Apache-2.0
#include "dsp/aec/residual_suppressor.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

#include "dsp/enhance/noise_floor.h"

namespace conclave::dsp {
namespace {

constexpr float kTiny = 1e-12F;
constexpr float kHuge = 1e12F;

float power_of(std::complex<float> s) {
  const float p = s.real() * s.real() + s.imag() * s.imag();
  return p < kHuge ? p : 0.0F;  // false for NaN as well
}
/// log2, off by less than 0.01 in a range of 250 octaves, several times faster than the library's.
float fast_log2(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const float exponent = static_cast<float>(static_cast<int>(bits >> 23) - 127);
  const float m = std::bit_cast<float>((bits & 0x007FFFFFU) | 0x3F800000U);
  return exponent + (-0.33582878F * m + 2.0F) * m - 1.65871022F;
}
float fast_exp2(float x) {
  const float limited = std::clamp(x, -120.0F, 120.0F);
  const float whole = std::floor(limited);
  const float f = limited - whole;
  const float m = 1.0F + f * (0.65636F + f * 0.34364F);
  return m * std::bit_cast<float>(static_cast<std::uint32_t>(static_cast<int>(whole) + 127) << 23);
}
constexpr float kDbPerOctave = 3.0103F;  // of power

constexpr int kBands = 16;  // of the speech band, in which envelopes are compared
constexpr float kEnvelopeSeconds = 0.5F;
// Correlation of the error's envelope with the predicted one: below nothing is echo, above all.
constexpr float kEchoLikeFrom = 0.55F;
constexpr float kEchoLikeTo = 0.80F;
// Mean of what the bins stand above the prediction and 5 dB, in dB: below no near talker, above
// one.
constexpr float kExcessFrom = 0.4F;
constexpr float kExcessTo = 1.4F;
// How much more than the predicted echo is taken off: with a near talker, and without.
constexpr float kOverNear = 1.5F;
constexpr float kOverFar = 40.0F;
constexpr float kHush = 2.5F;  // the same for noise while only the far end talks
// Comfort noise over the estimate of the room's noise, which late echo makes a few dB too high
// (power).
constexpr float kComfort = 0.25F;
constexpr float kTrustSeconds = 0.4F;  // of far-end sound before anything is believed
constexpr float kRestSeconds = 0.3F;   // how fast the room comes back after the far end

// Share of the learned mask in the near-end probability.
constexpr float kLearnedShare = 0.3F;

}  // namespace

class ResidualSuppressor::Impl {
 public:
  explicit Impl(const ResidualSuppressorConfig& config)
      : bins_(config.bins),
        error_(1, bins_),
        echo_(1, bins_),
        far_(1, bins_),
        spread_(1, bins_),
        leak_(1, bins_),
        distortion_(1, bins_),
        noise_(1, bins_),
        no_limit_(1, bins_),
        comfort_(1, bins_),
        floor_(bins_, static_cast<float>(config.hop) / static_cast<float>(config.sample_rate)),
        residual_(1, bins_),
        gain_(1, bins_),
        work_(1, bins_) {
    block_seconds_ = static_cast<float>(config.hop) / static_cast<float>(config.sample_rate);
    const float hz_per_bin =
        static_cast<float>(config.sample_rate) / 2 / static_cast<float>(bins_ - 1);
    speech_from_ = std::max(1, static_cast<int>(200 / hz_per_bin));
    speech_to_ = std::min(bins_, static_cast<int>(4500 / hz_per_bin));
    for (int b = 0; b <= kBands; ++b) {
      const float hz = 200.0F * std::pow(20.0F, static_cast<float>(b) / kBands);
      band_edge_[b] = std::min(bins_, static_cast<int>(std::lround(hz / hz_per_bin)));
      if (b > 0) band_edge_[b] = std::max(band_edge_[b], band_edge_[b - 1] + 1);
    }
    envelope_learn_ = 1 - std::exp(-block_seconds_ / kEnvelopeSeconds);
    // A room that loses 60 dB in 0.4 s.
    tail_ = std::pow(10.0F, -block_seconds_ / 0.4F * 6.0F);
    hold_decay_ = std::exp(-block_seconds_ / 0.33F);
    std::ranges::fill(no_limit_[0], kHuge);
    rest_decay_ = std::exp(-block_seconds_ / kRestSeconds);
    reset();
  }

  void set_params(const ResidualSuppressorParams& params) noexcept {
    params_ = params;
    params_.strength = std::clamp(params.strength, 0.0F, 2.0F);
    params_.max_reduction_db = std::clamp(params.max_reduction_db, 0.0F, 90.0F);
  }

  void reset() noexcept {
    error_.clear();
    echo_.clear();
    far_.clear();
    spread_.clear();
    residual_.clear();
    path_changed();
    std::ranges::fill(noise_[0], 0.0F);
    floor_.reset();
    far_weight_ = 0;
    std::ranges::fill(gain_[0], 1.0F);
    enabled_ = params_.enabled ? 1.0F : 0.0F;
    metrics_ = {};
  }

  void path_changed() noexcept {
    std::ranges::fill(leak_[0], 1.0F);
    std::ranges::fill(distortion_[0], 0.3F);
    std::ranges::fill(envelope_, Envelope{});
    learned_seconds_ = 0;
    near_ = 0;
    near_hold_ = 0;
  }

  void process(ConstSpectrumView error, ConstSpectrumView echo, ConstSpectrumView far,
               SpectrumView inout, std::span<float> gain, const LearnedEcho& learned) noexcept {
    assert(learned.gain.empty() || static_cast<int>(learned.gain.size()) == bins_);
    assert(error.frames() == bins_ && echo.frames() == bins_ && far.frames() == bins_);
    assert(inout.frames() == bins_ && static_cast<int>(gain.size()) == bins_);
    measure(error, echo[0], far[0]);
    predict();
    judge_near(learned);
    learn();
    shape(learned.gain);
    enabled_ += std::clamp((params_.enabled ? 1.0F : 0.0F) - enabled_, -0.2F, 0.2F);
    float before = 0;
    float after = 0;
    for (int k = 0; k < bins_; ++k) {
      const auto i = static_cast<std::size_t>(k);
      const float g = 1 + enabled_ * (gain_[0][i] - 1);
      gain[i] = g;
      const std::complex<float> s = inout[0][i];
      const float p = power_of(s);
      const std::complex<float> o = g * s;
      inout[0][i] = p > 0 || s == std::complex<float>{} ? o : std::complex<float>{};
      before += p;
      after += g * g * p;
    }
    metrics_.mean_gain_db = 10 * std::log10((after + kTiny) / (before + kTiny));
  }
  ResidualSuppressorMetrics metrics() const noexcept { return metrics_; }
  std::span<const float> comfort_power() const noexcept { return comfort_[0]; }

 private:
  void measure(ConstSpectrumView error_view, std::span<const std::complex<float>> echo,
               std::span<const std::complex<float>> far) noexcept {
    const auto error = error_view[0];
    float far_sum = 0;
    for (int k = 0; k < bins_; ++k) {
      const auto i = static_cast<std::size_t>(k);
      const float e = power_of(error[i]);
      const float y = power_of(echo[i]);
      const float x = power_of(far[i]);
      raw_far(k) = x;
      far_sum += x;
      error_[0][i] = 0.4F * error_[0][i] + 0.6F * e;
      // Echo decays by the room at the fastest: past power still sounds.
      echo_[0][i] = std::max(0.4F * echo_[0][i] + 0.6F * y, tail_ * echo_[0][i]);
    }
    floor_.process(error_view);
    floor_.limit(no_limit_[0], noise_[0]);
    spread_far();
    metrics_.far_active = far_sum > 1e-5F * static_cast<float>(bins_);
    active_ = metrics_.far_active ? 30 : std::max(0, active_ - 1);
    far_weight_ = active_ > 0 ? 1.0F : rest_decay_ * far_weight_;
    if (far_weight_ < 0.01F) far_weight_ = 0;
  }
  float& raw_far(int k) { return work_[0][static_cast<std::size_t>(k)]; }

  /// Distortion puts power where the far end has none: harmonics above, some intermodulation
  /// below. A recursive smear over frequency, then the decay of the room over time.
  void spread_far() noexcept {
    float up = 0;
    float* x = work_.data();
    const float fall_up = 0.97F;
    const float fall_down = 0.80F;
    for (int k = 0; k < bins_; ++k) {
      up = std::max(up * fall_up, x[k]);
      far_[0][static_cast<std::size_t>(k)] = up;
    }
    float down = 0;
    for (int k = bins_ - 1; k >= 0; --k) {
      const auto i = static_cast<std::size_t>(k);
      down = std::max(down * fall_down, x[k]);
      const float smeared = std::max(far_[0][i], down);
      spread_[0][i] = std::max(0.3F * spread_[0][i] + 0.7F * smeared, tail_ * spread_[0][i]);
    }
  }

  void predict() noexcept {
    for (int k = 0; k < bins_; ++k) {
      const auto i = static_cast<std::size_t>(k);
      residual_[0][i] = leak_[0][i] * echo_[0][i] + distortion_[0][i] * spread_[0][i] + kTiny;
    }
  }

  /// Correlation over time of amplitudes in bands: of the error, and of what is predicted. A near
  /// talker's words come when they come; echo comes when the far end speaks, whatever its level.
  void compare_envelopes() noexcept {
    float common = 0;
    float own = 0;
    for (int b = 0; b < kBands; ++b) {
      float e = 0;
      float r = 0;
      for (int k = band_edge_[b]; k < band_edge_[b + 1]; ++k) {
        const auto i = static_cast<std::size_t>(k);
        e += error_[0][i];
        r += residual_[0][i];
      }
      Envelope& v = envelope_[b];
      e = std::sqrt(e);
      r = std::sqrt(r);
      v.mean_e += envelope_learn_ * (e - v.mean_e);
      v.mean_r += envelope_learn_ * (r - v.mean_r);
      const float de = e - v.mean_e;
      const float dr = r - v.mean_r;
      v.ee += envelope_learn_ * (de * de - v.ee);
      v.rr += envelope_learn_ * (dr * dr - v.rr);
      v.er += envelope_learn_ * (de * dr - v.er);
      const float c = v.er / std::sqrt(v.ee * v.rr + kTiny * kTiny);
      // Loud bands count more, but not by their power: the lowest would decide alone.
      const float weight = std::sqrt(v.ee);
      common += weight * std::max(0.0F, c);
      own += weight;
    }
    const float c = common / (own + kTiny);
    metrics_.echo_likeness =
        std::clamp((c - kEchoLikeFrom) / (kEchoLikeTo - kEchoLikeFrom), 0.0F, 1.0F);
  }

  /// How much of the speech band stands above the predicted residual echo.
  void judge_near(const LearnedEcho& learned) noexcept {
    compare_envelopes();
    float excess = 0;
    for (int k = speech_from_; k < speech_to_; ++k) {
      const auto i = static_cast<std::size_t>(k);
      const float ratio =
          fast_log2((error_[0][i] + kTiny) / (residual_[0][i] + noise_[0][i])) * kDbPerOctave;
      excess += std::clamp(ratio - 5.0F, 0.0F, 15.0F);
    }
    excess /= static_cast<float>(speech_to_ - speech_from_);
    // At first everything is held to be echo: nothing is known yet, and a call begins with a word
    // of the far end more often than with both at once.
    if (active_ > 0 && learned_seconds_ < kTrustSeconds) metrics_.echo_likeness = 1;
    // What rises and falls with the prediction is echo of which too little is predicted.
    float now = std::clamp((excess - kExcessFrom) / (kExcessTo - kExcessFrom), 0.0F, 1.0F) *
                (1 - (active_ > 0 ? metrics_.echo_likeness : 0.0F));
    if (!learned.gain.empty() && active_ > 0) {
      now += kLearnedShare * (learned.near_probability - now);
    }
    near_ = now > near_ ? 0.3F * near_ + 0.7F * now : std::max(now, 0.85F * near_);
    // Learning waits longer than the gain: between two words of a near talker nothing is learned.
    near_hold_ = std::max(std::clamp(2 * near_ - 0.6F, 0.0F, 1.0F), hold_decay_ * near_hold_);
    metrics_.near_probability = near_;
  }

  /// Quantile tracking in the log domain, dB per second. It rises only while nobody near talks: a
  /// near talker only ever adds power. The correction is shared between leakage and
  /// distortion by what each explains.
  void learn() noexcept {
    float leak_sum = 0;
    float residual_sum = 0;
    if (active_ > 0) learned_seconds_ += block_seconds_;
    const float early = learned_seconds_ < 1.0F ? 4.0F : 1.0F;
    const float up = 30.0F * block_seconds_ * early * (1.0F - 0.95F * std::max(near_, near_hold_));
    const float down = 16.0F * block_seconds_ * early;
    for (int k = 0; k < bins_; ++k) {
      const auto i = static_cast<std::size_t>(k);
      const float r = residual_[0][i];
      residual_sum += r;
      leak_sum += leak_[0][i];
      const float e = error_[0][i];
      if (active_ == 0 || r < 0.1F * noise_[0][i] || r < 1e-9F) continue;
      const bool above = e > r;
      if (above && e < 3.0F * noise_[0][i]) continue;  // noise, not echo
      const float step = (above ? up : -down) / kDbPerOctave;
      const float share = leak_[0][i] * echo_[0][i] / r;
      leak_[0][i] = std::clamp(leak_[0][i] * fast_exp2(step * share), 1e-5F, 4.0F);
      distortion_[0][i] =
          std::clamp(distortion_[0][i] * fast_exp2(step * (1 - share)), 1e-7F, 30.0F);
    }
    metrics_.leakage_db = 10 * std::log10(leak_sum / static_cast<float>(bins_) + kTiny);
    const float n = static_cast<float>(bins_ - 1);
    metrics_.residual_echo_db = 10 * std::log10(residual_sum / (n * n) + kTiny);
  }

  void shape(std::span<const float> learned) noexcept {
    const float floor = std::pow(10.0F, -params_.max_reduction_db / 20);
    const float n = std::max(near_, near_hold_);
    const float over =
        params_.strength * params_.strength * (kOverNear + kOverFar * (1 - n) * (1 - n));
    // While only the far end talks the room's noise goes as well and comfort noise takes its place:
    // noise that comes and goes between the far end's words would tell the words.
    const float hush = kHush * far_weight_ * (1 - n);
    const float comfort = kComfort * far_weight_ * (1 - n) * (1 - n);
    for (int k = 0; k < bins_; ++k) {
      const auto i = static_cast<std::size_t>(k);
      // Never more than there is.
      comfort_[0][i] = std::min(comfort * noise_[0][i], error_[0][i]);
    }
    float* wish = work_.data();
    for (int k = 0; k < bins_; ++k) {
      const auto i = static_cast<std::size_t>(k);
      const float e = error_[0][i] + kTiny;
      const float near_power = std::max(0.0F, e - over * residual_[0][i] - hush * noise_[0][i]);
      wish[k] = near_power / e;
    }
    if (!learned.empty() && far_weight_ > 0) listen(learned, wish, far_weight_ * (1 - n) * (1 - n));
    for (int k = 0; k < bins_; ++k) {
      const auto i = static_cast<std::size_t>(k);
      const float left = wish[std::max(0, k - 1)];
      const float right = wish[std::min(bins_ - 1, k + 1)];
      const float g = std::max(floor, 0.25F * left + 0.5F * wish[k] + 0.25F * right);
      const float past = gain_[0][i];
      gain_[0][i] = g < past ? 0.3F * past + 0.7F * g : 0.5F * past + 0.5F * g;
    }
  }

  /// Both together, until a near talker is there: then the rules alone, which take less of him.
  void listen(std::span<const float> learned, float* wish, float share) const noexcept {
    for (int k = 0; k < bins_; ++k) {
      const float together = std::sqrt(wish[k]) * learned[static_cast<std::size_t>(k)];
      wish[k] += share * (together - wish[k]);
    }
  }

  const int bins_;
  FrameBuffer error_;  // smoothed powers
  FrameBuffer echo_;
  FrameBuffer far_;
  FrameBuffer spread_;
  FrameBuffer leak_;        // residual echo power over echo estimate power
  FrameBuffer distortion_;  // residual echo power over spread far-end power
  FrameBuffer noise_;       // stationary part of the error
  FrameBuffer no_limit_;
  FrameBuffer comfort_;
  NoiseFloor floor_;
  FrameBuffer residual_;
  FrameBuffer gain_;
  FrameBuffer work_;
  ResidualSuppressorParams params_;
  ResidualSuppressorMetrics metrics_;
  float block_seconds_ = 0.01F;
  float tail_ = 0;
  float near_ = 1;
  float near_hold_ = 0;
  float hold_decay_ = 0;
  float learned_seconds_ = 0;
  float enabled_ = 1;
  int speech_from_ = 1;
  int speech_to_ = 1;
  struct Envelope {
    float mean_e = 0;
    float mean_r = 0;
    float ee = 0;
    float rr = 0;
    float er = 0;
  };
  Envelope envelope_[kBands];
  int band_edge_[kBands + 1] = {};
  float envelope_learn_ = 0;
  float far_weight_ = 0;  // 1 while the far end sounds, then fades
  float rest_decay_ = 0;
  int active_ = 0;
};

Result<std::unique_ptr<ResidualSuppressor>> ResidualSuppressor::create(
    const ResidualSuppressorConfig& config) {
  if (config.sample_rate < 8000 || config.sample_rate > 96000) {
    return Error{"residual suppressor at " + std::to_string(config.sample_rate) +
                 " Hz; 8000..96000 are possible"};
  }
  if (config.bins < 17 || config.bins > 8193 || config.hop < 16 || config.hop > 4096) {
    return Error{"residual suppressor with " + std::to_string(config.bins) + " bins and a hop of " +
                 std::to_string(config.hop) + ": 17..8193 and 16..4096 are possible"};
  }
  return std::unique_ptr<ResidualSuppressor>(
      new ResidualSuppressor(std::make_unique<Impl>(config)));
}

ResidualSuppressor::ResidualSuppressor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ResidualSuppressor::~ResidualSuppressor() = default;
void ResidualSuppressor::set_params(const ResidualSuppressorParams& params) noexcept {
  impl_->set_params(params);
}
void ResidualSuppressor::reset() noexcept { impl_->reset(); }
void ResidualSuppressor::path_changed() noexcept { impl_->path_changed(); }
void ResidualSuppressor::process(ConstSpectrumView error, ConstSpectrumView echo_estimate,
                                 ConstSpectrumView far, SpectrumView inout, std::span<float> gain,
                                 const LearnedEcho& learned) noexcept {
  impl_->process(error, echo_estimate, far, inout, gain, learned);
}
std::span<const float> ResidualSuppressor::comfort_power() const noexcept {
  return impl_->comfort_power();
}
ResidualSuppressorMetrics ResidualSuppressor::metrics() const noexcept { return impl_->metrics(); }

}  // namespace conclave::dsp
