// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu_histogram.h"

#include <algorithm>
#include <cmath>

namespace conclave::engine {

void CpuHistogram::add(float us) noexcept {
  us = us > 0.0F ? us : 0.0F;
  const float edge = static_cast<float>(kFine);
  const float place = us < edge ? us : edge + (us - edge) / kCoarseUs;
  ++buckets_[static_cast<std::size_t>(std::min(place, static_cast<float>(kFine + kCoarse)))];
  ++count_;
  max_us_ = std::max(max_us_, us);
}

float CpuHistogram::percentile(float fraction) const noexcept {
  if (count_ == 0) return 0.0F;
  const auto wanted = static_cast<std::uint64_t>(
      std::ceil(static_cast<double>(fraction) * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    seen += buckets_[b];
    if (seen < wanted) continue;
    const float upper = static_cast<float>(b + 1);
    const float edge = static_cast<float>(kFine);
    return std::min(upper <= edge ? upper : edge + (upper - edge) * kCoarseUs, max_us_);
  }
  return max_us_;
}

}  // namespace conclave::engine
