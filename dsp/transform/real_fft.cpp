// SPDX-License-Identifier: Apache-2.0
#include "dsp/transform/real_fft.h"

#include <fftw3.h>

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include "base/frame_view.h"

namespace conclave::dsp {
namespace {

// FFTW's planner keeps global tables: making and destroying plans takes this lock, running does
// not.
std::mutex& planner() {
  static std::mutex mutex;
  return mutex;
}

bool aligned(const void* a, const void* b) {
  return ((reinterpret_cast<std::uintptr_t>(a) | reinterpret_cast<std::uintptr_t>(b)) & 15) == 0;
}

}  // namespace

struct RealFft::Plans {
  fftwf_plan forward = nullptr;
  fftwf_plan inverse = nullptr;
  fftwf_plan forward_unaligned = nullptr;
  fftwf_plan inverse_unaligned = nullptr;
  SpectrumBuffer scratch;

  Plans() = default;
  Plans(const Plans&) = delete;
  Plans& operator=(const Plans&) = delete;
  ~Plans() {
    const std::lock_guard lock(planner());
    for (fftwf_plan plan : {forward, inverse, forward_unaligned, inverse_unaligned}) {
      if (plan != nullptr) fftwf_destroy_plan(plan);
    }
  }
};

RealFft::RealFft(int size, std::unique_ptr<Plans> plans) : size_(size), plans_(std::move(plans)) {}
RealFft::~RealFft() = default;
RealFft::RealFft(RealFft&&) noexcept = default;
RealFft& RealFft::operator=(RealFft&&) noexcept = default;

Result<RealFft> RealFft::create(int size) {
  if (size < 2 || size % 2 != 0 || size > (1 << 20)) {
    return Error{"FFT size " + std::to_string(size) + " is not an even number in 2..1048576"};
  }
  FrameBuffer time(1, size);
  auto plans = std::make_unique<Plans>();
  plans->scratch = SpectrumBuffer(1, size / 2 + 1);
  auto* bins = reinterpret_cast<fftwf_complex*>(plans->scratch.data());
  {
    const std::lock_guard lock(planner());
    constexpr unsigned kForward = FFTW_ESTIMATE | FFTW_PRESERVE_INPUT;
    // An inverse that preserves its input may allocate while it runs; this one works on a copy.
    constexpr unsigned kFlags = FFTW_ESTIMATE | FFTW_DESTROY_INPUT;
    plans->forward = fftwf_plan_dft_r2c_1d(size, time.data(), bins, kForward);
    plans->inverse = fftwf_plan_dft_c2r_1d(size, bins, time.data(), kFlags);
    plans->forward_unaligned =
        fftwf_plan_dft_r2c_1d(size, time.data(), bins, kForward | FFTW_UNALIGNED);
    plans->inverse_unaligned =
        fftwf_plan_dft_c2r_1d(size, bins, time.data(), kFlags | FFTW_UNALIGNED);
  }
  if (plans->forward == nullptr || plans->inverse == nullptr ||
      plans->forward_unaligned == nullptr || plans->inverse_unaligned == nullptr) {
    return Error{"FFTW makes no plan for size " + std::to_string(size)};
  }
  return RealFft(size, std::move(plans));
}

void RealFft::forward(std::span<const float> in,
                      std::span<std::complex<float>> out) const noexcept {
  assert(std::ssize(in) == size_ && std::ssize(out) == bins());
  // FFTW's interface lacks const; FFTW_PRESERVE_INPUT promises it.
  fftwf_execute_dft_r2c(
      aligned(in.data(), out.data()) ? plans_->forward : plans_->forward_unaligned,
      const_cast<float*>(in.data()), reinterpret_cast<fftwf_complex*>(out.data()));
}

void RealFft::inverse_unscaled(std::span<const std::complex<float>> in,
                               std::span<float> out) const noexcept {
  assert(std::ssize(in) == bins() && std::ssize(out) == size_);
  std::copy(in.begin(), in.end(), plans_->scratch.data());
  fftwf_execute_dft_c2r(
      aligned(out.data(), out.data()) ? plans_->inverse : plans_->inverse_unaligned,
      reinterpret_cast<fftwf_complex*>(plans_->scratch.data()), out.data());
}

void RealFft::inverse(std::span<const std::complex<float>> in,
                      std::span<float> out) const noexcept {
  inverse_unscaled(in, out);
  const float scale = 1.0F / static_cast<float>(size_);
  for (float& sample : out) sample *= scale;
}

}  // namespace conclave::dsp
