// SPDX-License-Identifier: Apache-2.0
#include "dsp/aec/echo_canceller.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <string>
#include <utility>

#include "dsp/aec/kalman_bank.h"

namespace conclave::dsp {
namespace {

constexpr float kAbsurd = 16.0F;  // +24 dBFS: no converter gives that
// A microphone's offset beyond the second is taken off, one below the first is none: loud voices
// have as much.
constexpr float kNoOffset = 0.015F;
constexpr float kOffset = 0.03F;
constexpr float kSilence = 1e-9F;  // mean square, -90 dBFS
constexpr float kMainProcessNoise = 1.0e-3F;
constexpr float kShadowProcessNoise = 0.1F;
constexpr float kHighHz = 8000.0F;
// Partitions per block that the time limit is put on. Each costs two transforms a microphone; with
// many of them half as often is enough.
constexpr int kConstrainedAlone = 2;
constexpr int kConstrainedOfMany = 1;
constexpr int kChangeBlocks = 8;      // how long the shadow must be better
constexpr float kChangeRatio = 0.6F;  // and by how much (power)
constexpr int kDivergedBlocks = 20;
// Error over microphone that a fitting filter never gives, not even in double talk; of a filter
// that was good before, since a poor one (far end gone, loudspeaker overdriven) comes there often.
constexpr float kMisfitRatio = 1.4F;
constexpr float kWasGoodDb = 10.0F;
constexpr int kMisfitBlocks = 3;
constexpr int kMisfitHold = 50;
constexpr int kGoodHold = 40;

/// What a block of samples was.
struct Taken {
  float energy = 0;
  float mean = 0;
  bool sane = true;
};

/// Copies; what is not a sample becomes silence.
Taken take(std::span<const float> from, float* to) {
  Taken taken;
  for (std::size_t i = 0; i < from.size(); ++i) {
    const float x = from[i];
    const bool sane = std::abs(x) < kAbsurd;  // false for NaN as well
    const float y = sane ? x : 0.0F;
    to[i] = y;
    taken.sane = taken.sane && sane;
    taken.energy += y * y;
    taken.mean += y;
  }
  taken.mean /= static_cast<float>(from.size());
  return taken;
}

int partitions_of(const EchoCancellerConfig& config, float ms) {
  const float samples = ms * 1e-3F * static_cast<float>(config.sample_rate);
  return std::max(1, static_cast<int>(std::ceil(samples / static_cast<float>(config.hop) - 1e-3F)));
}

int bins_up_to(const EchoCancellerConfig& config, float hz, int fft_size) {
  return static_cast<int>(hz * static_cast<float>(fft_size) /
                          static_cast<float>(config.sample_rate)) +
         1;
}

float db(float power) { return 10 * std::log10(power + 1e-20F); }

}  // namespace

class EchoCanceller::Impl {
 public:
  Impl(const EchoCancellerConfig& config, RealFft fft)
      : mics_(config.microphones),
        references_(config.references),
        hop_(config.hop),
        size_(fft.size()),
        bins_(fft.bins()),
        partitions_(partitions_of(config, config.tail_ms)),
        fft_(std::move(fft)),
        history_(config.references, partitions_, bins_),
        main_(config.microphones, config.references, partitions_, hop_, size_,
              partitions_of(config, config.high_tail_ms), bins_up_to(config, kHighHz, size_)),
        shadow_(1, config.references, partitions_, hop_, size_,
                partitions_of(config, config.high_tail_ms), bins_up_to(config, kHighHz, size_)),
        far_time_(config.references, size_),
        mic_time_(config.microphones, hop_),
        time_(1, size_),
        error_time_(1, size_),
        spectrum_(1, bins_) {
    const float block_seconds = static_cast<float>(hop_) / static_cast<float>(config.sample_rate);
    erle_smoothing_ = std::exp(-block_seconds / 0.5F);
    fast_smoothing_ = std::exp(-block_seconds / 0.05F);
    offset_learn_ = 1 - std::exp(-block_seconds / 0.5F);
    slow_learn_ = 1 - std::exp(-block_seconds / 1.0F);
    reset();
  }

  void set_params(const EchoCancellerParams& params) noexcept { params_ = params; }
  int partitions() const { return partitions_; }

  void reset() noexcept {
    history_.clear();
    main_.reset();
    shadow_.reset();
    far_time_.clear();
    metrics_ = {};
    metrics_.microphones = mics_;
    mic_energy_.fill(0);
    error_energy_.fill(0);
    diverged_.fill(0);
    sane_.fill(true);
    mic_offset_.fill(0);
    slow_offset_.fill(0);
    removed_.fill(0);
    far_offset_.fill(0);
    shadow_error_ = main_error_ = main_mic_ = 0;
    better_blocks_ = 0;
    misfit_blocks_ = misfit_hold_ = was_good_ = 0;
    hold_ = 0;
    hangover_ = 0;
    opened_ = params_.enabled ? 1.0F : 0.0F;
  }

  void process(ConstFrameView mics, ConstFrameView far, FrameView out, FrameView echo) noexcept {
    assert(mics.channels() == mics_ && mics.frames() == hop_);
    assert(far.channels() == references_ && far.frames() == hop_);
    assert(out.channels() == mics_ && echo.channels() == mics_);
    take_far(far);
    const bool active = metrics_.far_active;
    const float adapt = params_.adapt && params_.enabled ? 1.0F : 0.0F;
    const float tonal = metrics_.tonality;
    // The correction uses the block before; frozen blocks set their correction to nothing.
    const KalmanStep main_step{active ? kMainProcessNoise : 0.0F, adapt, 1 - 0.9F * tonal};
    const KalmanStep shadow_step{active ? kShadowProcessNoise : 0.0F, adapt, 1 - 0.9F * tonal};
    main_.filter(history_, main_step);
    shadow_.filter(history_, shadow_step);
    const float open_from = opened_;
    opened_ = params_.enabled ? 1.0F : 0.0F;
    for (int m = 0; m < mics_; ++m) {
      const auto i = static_cast<std::size_t>(m);
      const Taken taken = take(mics[m], mic_time_[m].data());
      const float mic_energy = level_offset(mic_offset_[i], taken, mic_time_[m].data());
      sane_[i] = taken.sane;
      const float error_energy = cancel(main_, m, m);
      write(m, open_from, mics[m], out[m], echo[m]);
      watch(m, mic_energy, error_energy);
    }
    find_misfit();
    run_shadow();
    main_.constrain(fft_, mics_ > 1 ? kConstrainedOfMany : kConstrainedAlone);
    shadow_.constrain(fft_, kConstrainedAlone);
    finish_metrics();
  }

  void delay_reference(int samples) noexcept {
    const int shift = std::clamp(samples, 0, max_shift());
    if (shift == 0) return;
    history_.delay(shift, hop_, size_);
    for (int r = 0; r < references_; ++r) {
      float* time = far_time_[r].data();
      std::copy_backward(time, time + size_ - shift, time + size_);
      std::fill_n(time, shift, 0.0F);
    }
    main_.advance_echo(fft_, shift);
    shadow_.advance_echo(fft_, shift);
  }
  int max_shift() const { return size_ - hop_; }

  EchoCancellerMetrics metrics() const noexcept { return metrics_; }

 private:
  /// Takes the slow mean off a block: an offset tells nothing of the echo path, and the edges of a
  /// block spread it over all bins. Returns the energy that is left.
  float level_offset(float& offset, const Taken& taken, float* samples) const noexcept {
    offset += offset_learn_ * (taken.mean - offset);
    const float o = offset;
    for (int i = 0; i < hop_; ++i) samples[i] -= o;
    const float n = static_cast<float>(hop_);
    return std::max(0.0F, taken.energy + n * o * (o - 2 * taken.mean));
  }

  void take_far(ConstFrameView far) noexcept {
    history_.advance();
    float energy = 0;
    float peak_sum = 0;
    float total = 0;
    for (int r = 0; r < references_; ++r) {
      float* time = far_time_[r].data();
      std::copy(time + hop_, time + size_, time);
      float* now = time + size_ - hop_;
      const Taken taken = take(far[r], now);
      energy += level_offset(far_offset_[static_cast<std::size_t>(r)], taken, now);
      fft_.forward(far_time_[r], spectrum_[0]);
      float* __restrict re = history_.real(r, 0);
      float* __restrict im = history_.imag(r, 0);
      const auto* x = reinterpret_cast<const float*>(spectrum_.data());
      for (int k = 0; k < bins_; ++k) {
        re[k] = x[2 * k];
        im[k] = x[2 * k + 1];
      }
      measure_tonality(re, im, peak_sum, total);
    }
    const bool loud = energy > kSilence * static_cast<float>(hop_ * references_);
    hangover_ = loud ? partitions_ : std::max(0, hangover_ - 1);
    metrics_.far_active = hangover_ > 0;
    const float tonal_now =
        loud && total > 0 ? std::clamp((peak_sum / total - 0.9F) / 0.08F, 0.0F, 1.0F) : 0.0F;
    metrics_.tonality = 0.9F * metrics_.tonality + 0.1F * tonal_now;
  }

  /// The share of power in the strongest line and its neighbours, counted in a few bands of
  /// which each may hold one line.
  void measure_tonality(const float* re, const float* im, float& peaks, float& total) noexcept {
    int best = 1;
    float best_power = 0;
    for (int k = 1; k < bins_ - 1; ++k) {
      const float power = re[k] * re[k] + im[k] * im[k];
      total += power;
      if (power > best_power) {
        best_power = power;
        best = k;
      }
    }
    for (int k = std::max(1, best - 4); k <= std::min(bins_ - 2, best + 4); ++k) {
      peaks += re[k] * re[k] + im[k] * im[k];
    }
  }

  /// Echo of one microphone into time_, error into the second half of error_time_, its spectrum
  /// to the bank. Returns the error's energy.
  float cancel(KalmanBank& bank, int bank_mic, int mic) noexcept {
    const float* __restrict re = bank.echo_real(bank_mic);
    const float* __restrict im = bank.echo_imag(bank_mic);
    auto* y = reinterpret_cast<float*>(spectrum_.data());
    const float scale = 1.0F / static_cast<float>(size_);
    for (int k = 0; k < bins_; ++k) {
      y[2 * k] = re[k] * scale;
      y[2 * k + 1] = im[k] * scale;
    }
    fft_.inverse_unscaled(spectrum_[0], time_[0]);
    const float* __restrict echo = time_.data() + size_ - hop_;
    const float* __restrict in = mic_time_[mic].data();
    float* __restrict error = error_time_.data() + size_ - hop_;
    float energy = 0;
    for (int i = 0; i < hop_; ++i) {
      error[i] = in[i] - echo[i];
      energy += error[i] * error[i];
    }
    if (!std::isfinite(energy)) {
      bank.reset_mic(bank_mic);
      ++metrics_.recoveries;
      std::fill_n(time_.data(), size_, 0.0F);
      std::copy_n(in, hop_, error);
      energy = 0;
    }
    fft_.forward(error_time_[0], spectrum_[0]);
    bank.set_error(bank_mic, spectrum_[0]);
    return energy;
  }

  /// What the microphone gave less the estimate, which rests while the canceller is off and in
  /// blocks that hold no samples.
  void write(int mic, float open_from, std::span<const float> in, std::span<float> out,
             std::span<float> echo) noexcept {
    const auto m = static_cast<std::size_t>(mic);
    const float* estimate = time_.data() + size_ - hop_;
    slow_offset_[m] += slow_learn_ * (mic_offset_[m] - slow_offset_[m]);
    const float was = removed_[m];
    const float beyond = (std::abs(slow_offset_[m]) - kNoOffset) / (kOffset - kNoOffset);
    removed_[m] = slow_offset_[m] * std::clamp(beyond, 0.0F, 1.0F);
    const float from = sane_[m] ? open_from : 0.0F;
    const float slope = ((sane_[m] ? opened_ : 0.0F) - from) / static_cast<float>(hop_);
    for (int i = 0; i < hop_; ++i) {
      const float y = estimate[i] * (from + slope * static_cast<float>(i + 1));
      const auto n = static_cast<std::size_t>(i);
      const float x = std::abs(in[n]) < kAbsurd ? in[n] : 0.0F;
      const float part = static_cast<float>(i + 1) / static_cast<float>(hop_);
      echo[n] = y;
      out[n] = x - y - opened_ * (was + part * (removed_[m] - was));
    }
  }

  void watch(int mic, float mic_energy, float error_energy) noexcept {
    const auto m = static_cast<std::size_t>(mic);
    if (metrics_.far_active) {
      mic_energy_[m] = erle_smoothing_ * mic_energy_[m] + (1 - erle_smoothing_) * mic_energy;
      error_energy_[m] = erle_smoothing_ * error_energy_[m] + (1 - erle_smoothing_) * error_energy;
    }
    // A filter that adds more than it takes away, for long, is worse than none.
    const bool worse = error_energy > 2 * mic_energy && error_energy > kSilence;
    diverged_[m] = worse ? diverged_[m] + 1 : 0;
    if (diverged_[m] > kDivergedBlocks) {
      main_.reset_mic(mic);
      diverged_[m] = 0;
      ++metrics_.recoveries;
    }
    if (mic == shadow_mic_) {
      main_error_ = fast_smoothing_ * main_error_ + (1 - fast_smoothing_) * error_energy;
      main_mic_ = fast_smoothing_ * main_mic_ + (1 - fast_smoothing_) * mic_energy;
    }
  }

  /// An error above the microphone says at once what the shadow filter proves later.
  void find_misfit() noexcept {
    if (misfit_hold_ > 0) --misfit_hold_;
    const bool worse = metrics_.far_active && main_error_ > kMisfitRatio * main_mic_ &&
                       main_mic_ > 10 * kSilence * static_cast<float>(hop_);
    misfit_blocks_ = worse && was_good_ > 0 ? misfit_blocks_ + 1 : 0;
    const bool good = metrics_.far_active && metrics_.erle_db[0] > kWasGoodDb;
    was_good_ = good ? kGoodHold : std::max(0, was_good_ - 1);
    if (misfit_blocks_ < kMisfitBlocks || misfit_hold_ > 0) return;
    main_.lift_uncertainty(1.0F);
    misfit_hold_ = kMisfitHold;
    ++metrics_.misfits;
  }

  void run_shadow() noexcept {
    const float energy = cancel(shadow_, 0, shadow_mic_);
    shadow_error_ = fast_smoothing_ * shadow_error_ + (1 - fast_smoothing_) * energy;
    if (hold_ > 0) --hold_;
    const bool better =
        metrics_.far_active && shadow_error_ < kChangeRatio * main_error_ && hold_ == 0;
    better_blocks_ = better ? better_blocks_ + 1 : 0;
    if (better_blocks_ < kChangeBlocks) return;
    main_.lift_uncertainty(1.0F);
    main_.copy_from(shadow_, 0, shadow_mic_);
    better_blocks_ = 0;
    hold_ = 30;
    main_error_ = shadow_error_;
    ++metrics_.path_changes;
  }

  void finish_metrics() noexcept {
    float sum = 0;
    for (int m = 0; m < mics_; ++m) {
      const auto i = static_cast<std::size_t>(m);
      metrics_.erle_db[i] = db((mic_energy_[i] + 1e-12F) / (error_energy_[i] + 1e-12F));
      sum += metrics_.erle_db[i];
    }
    metrics_.erle_now_db =
        metrics_.far_active ? db((main_mic_ + 1e-9F) / (main_error_ + 1e-9F)) : 0;
    metrics_.mean_erle_db = sum / static_cast<float>(mics_);
    float near = 0;
    float all = 0;
    for (int k = 1; k < bins_; ++k) {
      near += main_.noise(0, k);
      all += main_.noise(0, k) + main_.predicted(0, k);
    }
    metrics_.double_talk = metrics_.far_active ? near / (all + 1e-20F) : 0.0F;
    // The sum over all weights is long: one microphone per block.
    norm_mic_ = (norm_mic_ + 1) % mics_;
    metrics_.filter_norm_db = db(main_.weight_energy(norm_mic_));
  }

  const int mics_;
  const int references_;
  const int hop_;
  const int size_;
  const int bins_;
  const int partitions_;
  RealFft fft_;
  FarHistory history_;
  KalmanBank main_;
  KalmanBank shadow_;
  FrameBuffer far_time_;    // references x fft size: the newest samples
  FrameBuffer mic_time_;    // microphones x hop, checked
  FrameBuffer time_;        // echo estimate, valid in the last hop
  FrameBuffer error_time_;  // zeros, then the error of a hop
  SpectrumBuffer spectrum_;
  EchoCancellerParams params_;
  EchoCancellerMetrics metrics_;
  std::array<float, EchoCancellerMetrics::kMaxMicrophones> mic_energy_{};
  std::array<float, EchoCancellerMetrics::kMaxMicrophones> error_energy_{};
  std::array<int, EchoCancellerMetrics::kMaxMicrophones> diverged_{};
  std::array<bool, EchoCancellerMetrics::kMaxMicrophones> sane_{};  // of this block
  std::array<float, EchoCancellerMetrics::kMaxMicrophones> mic_offset_{};
  std::array<float, EchoCancellerMetrics::kMaxMicrophones> slow_offset_{};
  std::array<float, EchoCancellerMetrics::kMaxMicrophones> removed_{};  // from what comes out
  std::array<float, 4> far_offset_{};
  float slow_learn_ = 0;
  float offset_learn_ = 0;
  float erle_smoothing_ = 0;
  float fast_smoothing_ = 0;
  float main_error_ = 0;
  float main_mic_ = 0;
  float shadow_error_ = 0;
  float opened_ = 1;
  int shadow_mic_ = 0;
  int misfit_blocks_ = 0;
  int was_good_ = 0;  // blocks for which the filter still counts as having been good
  int misfit_hold_ = 0;
  int better_blocks_ = 0;
  int hold_ = 0;
  int hangover_ = 0;
  int norm_mic_ = 0;
};

Result<std::unique_ptr<EchoCanceller>> EchoCanceller::create(const EchoCancellerConfig& config) {
  if (config.sample_rate < 8000 || config.sample_rate > 96000) {
    return Error{"echo canceller at " + std::to_string(config.sample_rate) +
                 " Hz; 8000..96000 are possible"};
  }
  if (config.microphones < 1 || config.microphones > EchoCancellerMetrics::kMaxMicrophones) {
    return Error{"echo canceller with " + std::to_string(config.microphones) +
                 " microphones; 1..16 are possible"};
  }
  if (config.references < 1 || config.references > 4) {
    return Error{"echo canceller with " + std::to_string(config.references) +
                 " references; 1..4 are possible"};
  }
  if (config.hop < 64 || config.hop > 1024) {
    return Error{"echo canceller with a hop of " + std::to_string(config.hop) +
                 " samples; 64..1024 are possible"};
  }
  if (!(config.high_tail_ms > 0)) {
    return Error{"echo canceller: the tail above 8 kHz must be above 0 ms"};
  }
  if (!(config.tail_ms > 0 && config.tail_ms <= 500)) {
    return Error{"echo canceller: the tail must be above 0 and at most 500 ms"};
  }
  CONCLAVE_TRY(RealFft fft, RealFft::create(fft_size_for_hop(config.hop)));
  return std::unique_ptr<EchoCanceller>(
      new EchoCanceller(std::make_unique<Impl>(config, std::move(fft))));
}

EchoCanceller::EchoCanceller(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EchoCanceller::~EchoCanceller() = default;
void EchoCanceller::set_params(const EchoCancellerParams& params) noexcept {
  impl_->set_params(params);
}
void EchoCanceller::reset() noexcept { impl_->reset(); }
void EchoCanceller::process(ConstFrameView mics, ConstFrameView far, FrameView out,
                            FrameView echo) noexcept {
  impl_->process(mics, far, out, echo);
}
EchoCancellerMetrics EchoCanceller::metrics() const noexcept { return impl_->metrics(); }
void EchoCanceller::delay_reference(int samples) noexcept { impl_->delay_reference(samples); }
int EchoCanceller::max_shift() const { return impl_->max_shift(); }
int EchoCanceller::partitions() const { return impl_->partitions(); }

}  // namespace conclave::dsp
