// SPDX-License-Identifier: Apache-2.0
#include "dsp/transform/stft.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

namespace conclave::dsp {
namespace {

Status check(int channels, int hop) {
  if (channels < 1 || channels > 64) {
    return Error{"STFT of " + std::to_string(channels) + " channels; 1..64 are possible"};
  }
  if (hop < 16 || hop > 4096) {
    return Error{"STFT hop of " + std::to_string(hop) + " samples; 16..4096 are possible"};
  }
  return {};
}

void fill_window(FrameBuffer& window, double scale) {
  const int size = window.frames();
  for (int i = 0; i < size; ++i) {
    // sqrt(Hann) of the periodic kind is a half sine: squares of neighbours add up to one.
    window[0][static_cast<std::size_t>(i)] =
        static_cast<float>(scale * std::sin(std::numbers::pi * i / size));
  }
}

}  // namespace

Result<std::unique_ptr<StftAnalysis>> StftAnalysis::create(int channels, int hop) {
  CONCLAVE_CHECK_STATUS(check(channels, hop));
  CONCLAVE_TRY(RealFft fft, RealFft::create(fft_size_for_hop(hop)));
  return std::unique_ptr<StftAnalysis>(new StftAnalysis(channels, hop, std::move(fft)));
}

StftAnalysis::StftAnalysis(int channels, int hop, RealFft fft)
    : hop_(hop),
      fft_(std::move(fft)),
      window_(1, 2 * hop),
      past_(channels, hop),
      work_(1, fft_.size()) {
  fill_window(window_, 1.0);
}

void StftAnalysis::process(ConstFrameView in, SpectrumView out) noexcept {
  assert(in.channels() == channels() && in.frames() == hop_);
  assert(out.channels() == channels() && out.frames() == bins());
  const float* window = window_.data();
  float* work = work_.data();  // beyond 2 * hop it stays zero
  for (int c = 0; c < in.channels(); ++c) {
    float* past = past_[c].data();
    const float* now = in[c].data();
    for (int i = 0; i < hop_; ++i) work[i] = past[i] * window[i];
    for (int i = 0; i < hop_; ++i) work[hop_ + i] = now[i] * window[hop_ + i];
    std::copy_n(now, hop_, past);
    fft_.forward(work_[0], out[c]);
  }
}

void StftAnalysis::reset() noexcept { past_.clear(); }

Result<std::unique_ptr<StftSynthesis>> StftSynthesis::create(int channels, int hop) {
  CONCLAVE_CHECK_STATUS(check(channels, hop));
  CONCLAVE_TRY(RealFft fft, RealFft::create(fft_size_for_hop(hop)));
  return std::unique_ptr<StftSynthesis>(new StftSynthesis(channels, hop, std::move(fft)));
}

StftSynthesis::StftSynthesis(int channels, int hop, RealFft fft)
    : hop_(hop),
      fft_(std::move(fft)),
      window_(1, 2 * hop),
      tail_(channels, hop),
      work_(1, fft_.size()) {
  fill_window(window_, 1.0 / fft_.size());
}

void StftSynthesis::process(ConstSpectrumView in, FrameView out) noexcept {
  assert(in.channels() == tail_.channels() && in.frames() == bins());
  assert(out.channels() == tail_.channels() && out.frames() == hop_);
  const float* window = window_.data();
  const float* work = work_.data();
  for (int c = 0; c < in.channels(); ++c) {
    fft_.inverse_unscaled(in[c], work_[0]);
    float* tail = tail_[c].data();
    float* now = out[c].data();
    for (int i = 0; i < hop_; ++i) now[i] = tail[i] + work[i] * window[i];
    for (int i = 0; i < hop_; ++i) tail[i] = work[hop_ + i] * window[hop_ + i];
  }
}

void StftSynthesis::reset() noexcept { tail_.clear(); }

}  // namespace conclave::dsp
