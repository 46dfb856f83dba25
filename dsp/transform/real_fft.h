// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <complex>
#include <memory>
#include <span>

#include "base/result.h"

namespace conclave::dsp {

/// The Fourier transform of real signals, the only one in the house (FFTW 3, single precision).
///
/// Plans are made by FFTW's estimate, not by timing, so that one binary gives bit-identical results
/// on every run. create() may be called on any thread (the planner is behind a lock); forward() and
/// inverse() allocate nothing. One object serves one thread at a time.
class RealFft {
 public:
  /// `size`: even, 2..1'048'576. Powers of two are fastest.
  static Result<RealFft> create(int size);
  ~RealFft();
  RealFft(RealFft&&) noexcept;
  RealFft& operator=(RealFft&&) noexcept;

  int size() const { return size_; }
  /// size / 2 + 1.
  int bins() const { return size_ / 2 + 1; }

  /// out[k] = sum in[n] exp(-2 pi i k n / size); in: size samples, out: bins. Memory on 16-byte
  /// boundaries (rows of a FrameBuffer) is faster than other memory. `in` is not changed and must
  /// not overlap `out`.
  void forward(std::span<const float> in, std::span<std::complex<float>> out) const noexcept;
  /// The inverse, scaled by 1 / size: inverse(forward(x)) == x. `in` is not changed.
  void inverse(std::span<const std::complex<float>> in, std::span<float> out) const noexcept;
  /// The inverse without the scale (and so without a pass over the samples).
  void inverse_unscaled(std::span<const std::complex<float>> in,
                        std::span<float> out) const noexcept;

 private:
  struct Plans;
  RealFft(int size, std::unique_ptr<Plans> plans);
  int size_;
  std::unique_ptr<Plans> plans_;
};

/// The transform size that goes with a hop: the next power of two >= 2 * hop
/// (480 -> 1024, 160 -> 512).
constexpr int fft_size_for_hop(int hop) {
  int size = 2;
  while (size < 2 * hop) size *= 2;
  return size;
}

}  // namespace conclave::dsp
