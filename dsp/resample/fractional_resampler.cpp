// SPDX-License-Identifier: Apache-2.0
#include "dsp/resample/fractional_resampler.h"

#include <Eigen/Core>
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>

namespace conclave::dsp {
namespace {

constexpr int kTaps = FractionalResampler::kTaps;
constexpr int kPhases = FractionalResampler::kPhases;
// Read position: integer part above, fraction below. 44 bits keep the rounding of the step under
// 1e-13 and leave 19 bits for the integer part.
constexpr int kFraction = 44;
constexpr std::int64_t kOne = std::int64_t{1} << kFraction;
constexpr int kPhaseShift = kFraction - 10;
static_assert(1 << (kFraction - kPhaseShift) == kPhases);

// 140 dB beside the pass band, which then reaches 0.43 of the sample rate.
constexpr double kKaiserBeta = 14.0;

using Coefficients = Eigen::Array<float, kTaps, 1>;

double bessel_i0(double x) {
  double sum = 1;
  double term = 1;
  for (int k = 1; k < 100 && term > 1e-18 * sum; ++k) {
    term *= (x / (2 * k)) * (x / (2 * k));
    sum += term;
  }
  return sum;
}

double prototype(double t) {  // t in samples from the centre
  const double half = kTaps / 2.0;
  if (std::abs(t) >= half) return 0;
  const double u = t / half;
  const double window = bessel_i0(kKaiserBeta * std::sqrt(1 - u * u)) / bessel_i0(kKaiserBeta);
  const double x = std::numbers::pi * t;
  return window * (std::abs(t) < 1e-12 ? 1.0 : std::sin(x) / x);
}

std::int64_t step_of(double ratio) {
  const double sane = std::isfinite(ratio) ? std::clamp(ratio, 0.9, 1.1) : 1.0;
  return std::llround(static_cast<double>(kOne) / sane);
}

}  // namespace

class FractionalResampler::Impl {
 public:
  explicit Impl(const FractionalResamplerConfig& config)
      : channels_(config.channels),
        max_in_(config.max_in_frames),
        table_(kPhases + 1, kTaps),
        work_(config.channels, config.max_in_frames + kTaps) {
    constexpr int kBefore = kTaps / 2 - 1;
    for (int p = 0; p <= kPhases; ++p) {
      const double fraction = static_cast<double>(p) / kPhases;
      double sum = 0;
      for (int t = 0; t < kTaps; ++t) sum += prototype(t - kBefore - fraction);
      for (int t = 0; t < kTaps; ++t) {
        // Normalised so that each phase has exactly the same gain at 0 Hz.
        table_[p][static_cast<std::size_t>(t)] =
            static_cast<float>(prototype(t - kBefore - fraction) / sum);
      }
    }
  }

  void process(ConstFrameView in, double ratio, FrameView out, int& consumed,
               int& produced) noexcept {
    assert(in.channels() == channels_ && in.frames() <= max_in_ && out.channels() == channels_);
    const int frames = in.frames();
    for (int c = 0; c < channels_; ++c) {
      std::copy_n(in[c].data(), frames, work_[c].data() + kTaps - 1);
    }
    const std::int64_t target = step_of(ratio);
    if (step_ == 0) step_ = target;
    const std::int64_t change = out.frames() > 0 ? (target - step_) / out.frames() : 0;
    std::int64_t step = step_;
    int done = 0;
    for (; done < out.frames(); ++done) {
      const auto index = static_cast<int>(position_ >> kFraction);
      if (index >= frames) break;
      write_sample(index, position_ & (kOne - 1), out, done);
      step += change;
      position_ += step;
    }
    step_ = done == out.frames() ? target : step;
    produced = done;
    consumed = std::min(frames, static_cast<int>(position_ >> kFraction));
    position_ -= static_cast<std::int64_t>(consumed) << kFraction;
    for (int c = 0; c < channels_; ++c) {
      float* work = work_[c].data();
      std::copy(work + consumed, work + consumed + kTaps - 1, work);
    }
  }

  int needed(int out_frames, double ratio) const noexcept {
    if (out_frames <= 0) return 0;
    const std::int64_t step = std::max(step_of(ratio), step_);
    return static_cast<int>((position_ + step * (out_frames - 1)) >> kFraction) + 1;
  }

  double fraction() const noexcept {
    return static_cast<double>(position_) / static_cast<double>(kOne);
  }
  void reset() noexcept {
    work_.clear();
    position_ = 0;
    step_ = 0;
  }

 private:
  void write_sample(int index, std::int64_t fraction, FrameView out, int n) noexcept {
    const auto phase = static_cast<int>(fraction >> kPhaseShift);
    const float between = static_cast<float>(fraction & ((std::int64_t{1} << kPhaseShift) - 1)) /
                          static_cast<float>(std::int64_t{1} << kPhaseShift);
    const Eigen::Map<const Coefficients, Eigen::Aligned64> a(table_[phase].data());
    const Eigen::Map<const Coefficients, Eigen::Aligned64> b(table_[phase + 1].data());
    const Coefficients taps = a + between * (b - a);
    const float* row = work_.data() + index;
    float* to = out.data() + n;
    for (int c = 0; c < channels_; ++c) {
      *to = (taps * Eigen::Map<const Coefficients>(row)).sum();
      row += work_.stride();
      to += out.stride();
    }
  }

  int channels_;
  int max_in_;
  FrameBuffer table_;  // (phases + 1) x taps
  FrameBuffer work_;   // channels x (taps - 1 past + max_in)
  std::int64_t position_ = 0;
  std::int64_t step_ = 0;
};

Result<std::unique_ptr<FractionalResampler>> FractionalResampler::create(
    const FractionalResamplerConfig& config) {
  if (config.channels < 1 || config.channels > 64) {
    return Error{"resampler of " + std::to_string(config.channels) +
                 " channels; 1..64 are possible"};
  }
  if (config.max_in_frames < 1 || config.max_in_frames > 65536) {
    return Error{"resampler blocks of " + std::to_string(config.max_in_frames) +
                 " frames; 1..65536 are possible"};
  }
  return std::unique_ptr<FractionalResampler>(
      new FractionalResampler(std::make_unique<Impl>(config)));
}

FractionalResampler::FractionalResampler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FractionalResampler::~FractionalResampler() = default;

void FractionalResampler::process(ConstFrameView in, double ratio, FrameView out, int& consumed,
                                  int& produced) noexcept {
  impl_->process(in, ratio, out, consumed, produced);
}
int FractionalResampler::needed(int out_frames, double ratio) const noexcept {
  return impl_->needed(out_frames, ratio);
}
void FractionalResampler::reset() noexcept { impl_->reset(); }
double FractionalResampler::fraction() const noexcept { return impl_->fraction(); }

}  // namespace conclave::dsp
