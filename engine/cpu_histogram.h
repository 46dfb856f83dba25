// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace conclave::engine {

/// Counts durations: buckets of 1 us up to 4 ms, of 50 us up to 54 ms; fixed memory. One thread.
class CpuHistogram {
 public:
  void add(float us) noexcept;
  /// The upper edge of the bucket below which `fraction` (0..1] of all lie; 0 without any.
  float percentile(float fraction) const noexcept;
  float max_us() const noexcept { return max_us_; }
  std::uint64_t count() const noexcept { return count_; }
  void clear() noexcept { *this = CpuHistogram(); }

 private:
  static constexpr int kFine = 4000;
  static constexpr int kCoarse = 1000;
  static constexpr float kCoarseUs = 50.0F;
  std::array<std::uint32_t, kFine + kCoarse + 1> buckets_{};
  std::uint64_t count_ = 0;
  float max_us_ = 0.0F;
};

}  // namespace conclave::engine
