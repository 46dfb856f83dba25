// SPDX-License-Identifier: Apache-2.0
#include "media/jitter/delay_estimator.h"

#include <algorithm>
#include <limits>

namespace conclave::media {
namespace {
constexpr float kForget = 0.9985F;
constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kSecondNs = 1'000'000'000;
}  // namespace

void DelayEstimator::reset() noexcept { *this = DelayEstimator{}; }

double DelayEstimator::update(std::int64_t timestamp48, std::int64_t arrival_ns) noexcept {
  const std::int64_t transit = arrival_ns - ticks_to_ns(timestamp48);
  const std::int64_t second = arrival_ns / kSecondNs;
  if (packets_ == 0) {
    second_ = second;
    seconds_ = 1;
    minima_[0] = transit;
    // Some jitter is expected until the network has shown itself; forgotten within a second or two.
    for (std::size_t i = 0; i < 5; ++i) histogram_[i] = 0.2F;
  }
  for (; second_ < second; ++second_) {
    std::copy_backward(minima_.begin(), minima_.end() - 1, minima_.end());
    minima_[0] = kNone;
    seconds_ = std::min(seconds_ + 1, kSeconds);
    if (second - second_ > kSeconds) {
      // A long silence: the old minima say nothing about now.
      minima_.fill(kNone);
      second_ = second - 1;
      seconds_ = 0;
    }
  }
  minima_[0] = std::min(minima_[0], transit);
  find_base();

  const double late_ms = static_cast<double>(transit - base_ns_) / 1e6;
  const auto bucket = static_cast<std::size_t>(
      std::clamp(late_ms / kBucketMs, 0.0, static_cast<double>(kBuckets - 1)));
  ++packets_;
  // The first packets weigh more, so that the estimate is of use after a fraction of a second.
  const float forget = std::min(kForget, 1.0F - 1.0F / static_cast<float>(packets_ + 1));
  for (float& share : histogram_) share *= forget;
  histogram_[bucket] += 1.0F - forget;
  find_target();
  return late_ms;
}

void DelayEstimator::find_base() noexcept {
  base_ns_ = kNone;
  for (int i = 0; i < std::min(seconds_, kBaseSeconds); ++i) {
    base_ns_ = std::min(base_ns_, minima_[static_cast<std::size_t>(i)]);
  }
  // After a silence of some seconds there is only the newest.
  if (base_ns_ == kNone) base_ns_ = minima_[0];
}

void DelayEstimator::find_target() noexcept {
  float beyond = static_cast<float>(1.0 - kQuantile);
  int i = kBuckets - 1;
  for (; i > 0; --i) {
    beyond -= histogram_[static_cast<std::size_t>(i)];
    if (beyond < 0) break;
  }
  target_ms_ = (i + 1) * kBucketMs;
}

double DelayEstimator::drift_ppm() const noexcept {
  // A line through the minima of the whole seconds by least squares.
  double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (int i = 1; i < seconds_; ++i) {
    const std::int64_t minimum = minima_[static_cast<std::size_t>(i)];
    if (minimum == kNone) continue;
    const double x = -i, y = static_cast<double>(minimum - base_ns_) / 1e3;  // s, us
    ++n, sx += x, sy += y, sxx += x * x, sxy += x * y;
  }
  if (n < 20) return 0;
  // A faster sender: its timestamps run ahead, the transit shrinks.
  return -(n * sxy - sx * sy) / (n * sxx - sx * sx);
}

}  // namespace conclave::media
