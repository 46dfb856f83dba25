// SPDX-License-Identifier: Apache-2.0
#include "dsp/aec/echo_drift.h"

#include <algorithm>
#include <cmath>

namespace conclave::dsp {
namespace {
constexpr double kPointSeconds = 0.5;
constexpr int kLeastReadings = 3;
constexpr int kLeastPoints = 8;
constexpr double kOldSeconds = 30;
constexpr double kMostPpm = 400;        // no crystal is worse; somebody moves the device
constexpr double kLeastScatter = 1e-6;  // seconds; a fit can look better than it is
constexpr double kWorstError = 4.0;     // ppm
}  // namespace

void EchoDrift::advance() noexcept {
  now_ += hop_seconds_;
  if (now_ - opened_ >= kPointSeconds) close_point();
}

void EchoDrift::add(double delay) noexcept {
  sum_time_ += now_;
  sum_delay_ += delay;
  ++readings_;
}

void EchoDrift::jump(double seconds) noexcept {
  for (auto& p : points_) p.delay += seconds;
  sum_time_ = sum_delay_ = 0;
  readings_ = 0;
}

void EchoDrift::close_point() noexcept {
  opened_ = now_;
  if (readings_ >= kLeastReadings) {
    points_[static_cast<std::size_t>(next_)] = {sum_time_ / readings_, sum_delay_ / readings_};
    next_ = (next_ + 1) % kPoints;
    count_ = std::min(count_ + 1, kPoints);
    fit();
  }
  sum_time_ = sum_delay_ = 0;
  readings_ = 0;
}

void EchoDrift::fit() noexcept {
  double n = 0;
  double t = 0;
  double d = 0;
  const auto fresh = [&](const Point& p) { return now_ - p.time < kOldSeconds; };
  for (int i = 0; i < count_; ++i) {
    const Point& p = points_[static_cast<std::size_t>(i)];
    if (!fresh(p)) continue;
    n += 1;
    t += p.time;
    d += p.delay;
  }
  if (n < kLeastPoints) return;
  t /= n;
  d /= n;
  double tt = 0;
  double td = 0;
  double dd = 0;
  for (int i = 0; i < count_; ++i) {
    const Point& p = points_[static_cast<std::size_t>(i)];
    if (!fresh(p)) continue;
    tt += (p.time - t) * (p.time - t);
    td += (p.time - t) * (p.delay - d);
    dd += (p.delay - d) * (p.delay - d);
  }
  const double slope = td / tt;
  const double scatter = std::sqrt(std::max(0.0, dd - slope * td) / (n - 2)) + kLeastScatter;
  const double error = scatter / std::sqrt(tt) * 1e6;
  // Points that do not lie on a line (double talk, a moved device) leave the last drift in force.
  if (error > kWorstError || std::abs(slope) * 1e6 > kMostPpm) return;
  error_ppm_ = error;
  known_ = true;
  ppm_ = slope * 1e6;
}

}  // namespace conclave::dsp
