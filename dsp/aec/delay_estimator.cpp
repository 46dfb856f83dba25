// SPDX-License-Identifier: Apache-2.0
#include "dsp/aec/delay_estimator.h"

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

#include "base/frame_view.h"
#include "dsp/transform/real_fft.h"

namespace conclave::dsp {
namespace {

constexpr int kRate = 8000;     // echo of speech has its energy below 4 kHz
constexpr int kFilterTaps = 8;  // of the decimator, per factor
constexpr float kMemorySeconds = 0.6F;
constexpr float kImpatientSeconds = 0.3F;
constexpr float kWhitenSeconds = 0.5F;
constexpr int kWhitenOrder = 16;
constexpr int kSearchParts = 4;  // blocks for one search over all lags
constexpr int kStableSearches = 6;
constexpr int kStableJump = 8;
constexpr int kNear = 8;         // lags at kRate that count as the same
constexpr float kClear = 10.0F;  // peak over rms that counts; other speech reaches 8, an echo 20
constexpr float kFollowConfidence = 0.3F;
constexpr float kAbsurd = 16.0F;

using Row = Eigen::Map<const Eigen::VectorXf>;  // its sums run over several lanes

/// Low-pass and every n-th sample.
class Decimator {
 public:
  Decimator(int factor, int max_frames)
      : factor_(factor),
        taps_(kFilterTaps * factor),
        coefficients_(1, taps_),
        work_(1, taps_ + max_frames) {
    double sum = 0;
    for (int i = 0; i < taps_; ++i) {
      const double t = i - 0.5 * (taps_ - 1);
      const double x = std::numbers::pi * t * 0.9 / factor_;
      const double window = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * (i + 0.5) / taps_);
      const double c = window * (std::abs(x) < 1e-9 ? 1.0 : std::sin(x) / x);
      coefficients_[0][static_cast<std::size_t>(i)] = static_cast<float>(c);
      sum += c;
    }
    for (float& c : coefficients_[0]) c = static_cast<float>(c / sum);
  }
  /// in: a multiple of the factor.
  void process(std::span<const float> in, float* out) noexcept {
    const int frames = static_cast<int>(in.size());
    float* work = work_.data();
    for (int i = 0; i < frames; ++i) {
      const float x = in[static_cast<std::size_t>(i)];
      work[taps_ + i] = std::abs(x) < kAbsurd ? x : 0.0F;
    }
    const float* c = coefficients_.data();
    for (int n = 0; n < frames / factor_; ++n) {
      out[n] = Row(c, taps_).dot(Row(work + (n + 1) * factor_, taps_));
    }
    std::copy(work + frames, work + frames + taps_, work);
  }
  void reset() noexcept { work_.clear(); }

 private:
  int factor_;
  int taps_;
  FrameBuffer coefficients_;
  FrameBuffer work_;
};

/// Flattens the spectrum of a signal by linear prediction from its average over half a second, and
/// levels its blocks so that a loud one does not decide alone.
///
/// In the time domain on purpose: spectra of short blocks, whitened each by itself (PHAT), are
/// mostly those of the blocks' edges, and two signals cut at the same instants then correlate at
/// lags of whole blocks.
class Whitener {
 public:
  explicit Whitener(int hop)
      : hop_(hop),
        keep_(std::exp(-static_cast<float>(hop) / kRate / kWhitenSeconds)),
        work_(1, kWhitenOrder + hop) {
    reset();
  }
  /// In place; returns the energy before.
  float process(float* x) noexcept {
    float* work = work_.data() + kWhitenOrder;
    std::copy_n(x, hop_, work);
    learn(work);
    for (int i = 1; i <= kWhitenOrder; ++i) {
      const float a = predictor_[static_cast<std::size_t>(i)];
      const float* past = work - i;
      for (int n = 0; n < hop_; ++n) x[n] += a * past[n];
    }
    const float white = Row(x, hop_).squaredNorm();
    const float energy = energy_;
    average_ = energy > 0.01F * average_ ? keep_ * average_ + (1 - keep_) * white : average_;
    const float even = 1.0F / std::sqrt(white + 0.05F * average_ + 1e-12F);
    for (int n = 0; n < hop_; ++n) x[n] *= even;
    std::copy_n(work + hop_ - kWhitenOrder, kWhitenOrder, work_.data());
    return energy;
  }
  void reset() noexcept {
    work_.clear();
    correlation_.fill(0);
    predictor_.fill(0);
    predictor_[0] = 1;
    average_ = 0;
  }

 private:
  void learn(const float* x) noexcept {
    std::array<float, kWhitenOrder + 1> now{};
    for (int i = 0; i <= kWhitenOrder; ++i) {
      now[static_cast<std::size_t>(i)] = Row(x, hop_).dot(Row(x - i, hop_));
    }
    energy_ = now[0];
    // A pause must not flatten the average.
    if (!(energy_ > 0.01F * correlation_[0])) return;
    for (std::size_t i = 0; i < now.size(); ++i) {
      correlation_[i] = keep_ * correlation_[i] + (1 - keep_) * now[i];
    }
    levinson();
  }

  void levinson() noexcept {
    std::array<float, kWhitenOrder + 1> a{};
    a[0] = 1;
    float error = correlation_[0] * 1.001F + 1e-12F;
    for (std::size_t m = 1; m <= kWhitenOrder; ++m) {
      float sum = 0;
      for (std::size_t i = 0; i < m; ++i) sum += a[i] * correlation_[m - i];
      const float reflection = -sum / error;
      if (!(std::abs(reflection) < 1.0F)) return;  // keeps the last predictor
      std::array<float, kWhitenOrder + 1> next = a;
      for (std::size_t i = 1; i <= m; ++i) next[i] = a[i] + reflection * a[m - i];
      a = next;
      error *= 1 - reflection * reflection;
    }
    predictor_ = a;
  }

  int hop_;
  float keep_;
  FrameBuffer work_;  // past samples, then the block
  std::array<float, kWhitenOrder + 1> correlation_{};
  std::array<float, kWhitenOrder + 1> predictor_{};
  float energy_ = 0;
  float average_ = 0;
};

}  // namespace

class DelayEstimator::Impl {
 public:
  Impl(const DelayEstimatorConfig& config, RealFft fft)
      : factor_(config.sample_rate / kRate),
        hop_(config.hop / factor_),
        partitions_(static_cast<int>(
                        std::ceil(config.max_delay_ms * 1e-3F * kRate / static_cast<float>(hop_))) +
                    1),
        fft_(std::move(fft)),
        bins_(fft_.bins()),
        mic_decimator_(factor_, config.hop),
        far_decimator_(factor_, config.hop),
        mic_whitener_(hop_),
        far_whitener_(hop_),
        far_time_(1, fft_.size()),
        mic_time_(1, fft_.size()),
        mic_(1, bins_),
        history_(partitions_, bins_),
        cross_(partitions_, bins_),
        correlation_(1, partitions_ * hop_),
        lags_(1, fft_.size()) {
    const float block_seconds = static_cast<float>(hop_) / kRate;
    memory_ = std::exp(-block_seconds / kMemorySeconds);
    short_memory_ = std::exp(-block_seconds / kImpatientSeconds);
  }

  void process(std::span<const float> mic, std::span<const float> far, bool impatient) noexcept {
    keep_ = impatient ? short_memory_ : memory_;
    jump_searches_ = impatient ? kStableSearches : kStableJump;
    assert(static_cast<int>(mic.size()) == hop_ * factor_ && far.size() == mic.size());
    const int size = fft_.size();
    float* x = far_time_.data();
    std::copy(x + hop_, x + size, x);
    far_decimator_.process(far, x + size - hop_);
    const float far_energy = far_whitener_.process(x + size - hop_);
    float* y = mic_time_.data() + size - hop_;  // before it: zeros
    mic_decimator_.process(mic, y);
    const float mic_energy = mic_whitener_.process(y);
    newest_ = (newest_ + partitions_ - 1) % partitions_;
    fft_.forward(far_time_[0], history_[newest_]);
    fft_.forward(mic_time_[0], mic_[0]);
    // Silence says nothing about the delay: the memory stands still.
    constexpr float kSilence = 1e-8F;
    const bool far_loud = far_energy > kSilence * static_cast<float>(hop_);
    quiet_blocks_ = far_loud ? 0 : quiet_blocks_ + 1;
    if (quiet_blocks_ < partitions_ && mic_energy > 1e-12F) accumulate();
    search();
  }

  void reset() noexcept {
    mic_decimator_.reset();
    far_decimator_.reset();
    mic_whitener_.reset();
    far_whitener_.reset();
    far_time_.clear();
    mic_time_.clear();
    history_.clear();
    cross_.clear();
    correlation_.clear();
    metrics_ = {};
    candidate_ = -1;
    stable_ = 0;
    part_ = 0;
    quiet_blocks_ = 1 << 20;
  }
  DelayEstimatorMetrics metrics() const noexcept { return metrics_; }

 private:
  void accumulate() noexcept {
    const auto* y = reinterpret_cast<const float*>(mic_.data());
    const float keep = keep_;
    const float fresh = 1 - keep;
    for (int d = 0; d < partitions_; ++d) {
      const auto* __restrict x =
          reinterpret_cast<const float*>(history_[(newest_ + d) % partitions_].data());
      auto* __restrict c = reinterpret_cast<float*>(cross_[d].data());
      for (int k = 0; k < bins_; ++k) {
        const float re = y[2 * k] * x[2 * k] + y[2 * k + 1] * x[2 * k + 1];
        const float im = y[2 * k + 1] * x[2 * k] - y[2 * k] * x[2 * k + 1];
        c[2 * k] = keep * c[2 * k] + fresh * re;
        c[2 * k + 1] = keep * c[2 * k + 1] + fresh * im;
      }
    }
  }

  /// One part of the lags; after the last part, the peak.
  void search() noexcept {
    const int from = part_ * partitions_ / kSearchParts;
    const int to = (part_ + 1) * partitions_ / kSearchParts;
    for (int d = from; d < to; ++d) {
      fft_.inverse(cross_[d], lags_[0]);
      std::copy_n(lags_.data(), hop_, correlation_.data() + d * hop_);
    }
    part_ = (part_ + 1) % kSearchParts;
    if (part_ == 0) judge();
  }

  void judge() noexcept {
    const float* c = correlation_.data();
    const int lags = correlation_.frames();
    float power = 0;
    float best = 0;
    for (int i = 0; i < lags; ++i) {
      power += c[i] * c[i];
      best = std::max(best, std::abs(c[i]));
    }
    const float rms = std::sqrt(power / static_cast<float>(lags)) + 1e-9F;
    // The direct sound comes first and need not be the strongest.
    int lag = 0;
    while (lag < lags && std::abs(c[lag]) < 0.7F * best) ++lag;
    while (lag + 1 < lags && std::abs(c[lag + 1]) > std::abs(c[lag])) ++lag;
    const float clearness = best / rms;
    const float fresh = quiet_blocks_ < partitions_ ? 1.0F : 0.98F;
    const float now = std::clamp((clearness - 6.0F) / 14.0F, 0.0F, 1.0F);
    metrics_.confidence =
        fresh < 1 ? metrics_.confidence * fresh : 0.7F * metrics_.confidence + 0.3F * now;
    follow();
    if (clearness < kClear) {
      stable_ = 0;
      return;
    }
    stable_ = std::abs(lag - candidate_) <= kNear ? stable_ + 1 : 0;
    candidate_ = lag;
    if (stable_ < kStableSearches) return;
    // A long vowel repeats itself: another lag must beat the known one clearly and for long.
    const int known = metrics_.delay_samples / factor_;
    if (metrics_.locked && std::abs(lag - known) > kNear) {
      float there = 0;
      for (int i = std::max(0, known - kNear); i <= std::min(lags - 1, known + kNear); ++i) {
        there = std::max(there, std::abs(c[i]));
      }
      if (best < 1.4F * there || stable_ < jump_searches_) return;
    }
    if (!metrics_.locked || std::abs(lag - followed_) > kNear) followed_ = lag;
    const int samples = lag * factor_;
    if (metrics_.locked && std::abs(samples - metrics_.delay_samples) > 16 * factor_) {
      ++metrics_.jumps;
    }
    metrics_.locked = true;
    metrics_.delay_samples = samples;
    metrics_.delay_ms = static_cast<float>(lag) * 1e3F / kRate;
  }

  /// One reading of where the followed peak lies, if it is one.
  void follow() noexcept {
    if (!metrics_.locked || quiet_blocks_ > 0 || metrics_.confidence < kFollowConfidence) return;
    const float* c = correlation_.data();
    const int lags = correlation_.frames();
    if (followed_ < 2 || followed_ + 2 >= lags) return;
    // The peak's neighbour counts when the peak has moved there.
    const int from = std::max(1, followed_ - 1);
    int top = from;
    for (int i = from; i <= followed_ + 1; ++i) {
      if (std::abs(c[i]) > std::abs(c[top])) top = i;
    }
    const float sign = c[top] < 0 ? -1.0F : 1.0F;
    const float b = sign * c[top];
    const float left = sign * c[top - 1];
    const float right = sign * c[top + 1];
    if (b < left || b < right) return;
    followed_ = top;
    const float bend = left - 2 * b + right;
    const float shift = bend < 0 ? 0.5F * (left - right) / bend : 0.0F;
    metrics_.fine_delay = (top + static_cast<double>(std::clamp(shift, -0.5F, 0.5F))) / kRate;
    ++metrics_.fine_readings;
  }

  const int factor_;
  const int hop_;  // at kRate
  const int partitions_;
  RealFft fft_;
  const int bins_;
  Decimator mic_decimator_;
  Decimator far_decimator_;
  Whitener mic_whitener_;
  Whitener far_whitener_;
  FrameBuffer far_time_;
  FrameBuffer mic_time_;
  SpectrumBuffer mic_;
  SpectrumBuffer history_;  // far spectra, a ring
  SpectrumBuffer cross_;    // partitions x bins
  FrameBuffer correlation_;
  FrameBuffer lags_;
  DelayEstimatorMetrics metrics_;
  float memory_ = 0;
  float short_memory_ = 0;
  float keep_ = 0;
  int jump_searches_ = 0;
  int newest_ = 0;
  int part_ = 0;
  int candidate_ = -1;
  int followed_ = 0;  // lag of the peak that fine_delay tells
  int stable_ = 0;
  int quiet_blocks_ = 1 << 20;
};

Result<std::unique_ptr<DelayEstimator>> DelayEstimator::create(const DelayEstimatorConfig& config) {
  if (config.sample_rate < kRate || config.sample_rate % kRate != 0 || config.sample_rate > 96000) {
    return Error{"delay estimator at " + std::to_string(config.sample_rate) +
                 " Hz; multiples of 8000 up to 96000 are possible"};
  }
  const int factor = config.sample_rate / kRate;
  if (config.hop < 16 * factor || config.hop > 200 * factor || config.hop % factor != 0) {
    return Error{"delay estimator with a hop of " + std::to_string(config.hop) +
                 " samples: it must be 2..25 ms and a multiple of " + std::to_string(factor)};
  }
  if (!(config.max_delay_ms >= 50 && config.max_delay_ms <= 1000)) {
    return Error{"delay estimator: max_delay_ms must be 50..1000"};
  }
  // A window of twice the hop and more holds all lags of one partition without wrap-around.
  CONCLAVE_TRY(RealFft fft, RealFft::create(fft_size_for_hop(config.hop / factor)));
  return std::unique_ptr<DelayEstimator>(
      new DelayEstimator(std::make_unique<Impl>(config, std::move(fft))));
}

DelayEstimator::DelayEstimator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DelayEstimator::~DelayEstimator() = default;
void DelayEstimator::process(std::span<const float> mic, std::span<const float> far,
                             bool impatient) noexcept {
  impl_->process(mic, far, impatient);
}
void DelayEstimator::reset() noexcept { impl_->reset(); }
DelayEstimatorMetrics DelayEstimator::metrics() const noexcept { return impl_->metrics(); }

}  // namespace conclave::dsp
