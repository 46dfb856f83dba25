// SPDX-License-Identifier: Apache-2.0
#include "media/quality.h"

#include <algorithm>

namespace conclave::media {

double estimate_mos(double one_way_delay_ms, double loss_percent) noexcept {
  constexpr double kRobustness = 20;
  const double delay = std::max(one_way_delay_ms, 0.0);
  const double loss = std::clamp(loss_percent, 0.0, 100.0);
  const double delay_impairment = 0.024 * delay + (delay > 177.3 ? 0.11 * (delay - 177.3) : 0);
  const double loss_impairment = 95 * loss / (loss + kRobustness);
  const double r = std::clamp(93.2 - delay_impairment - loss_impairment, 0.0, 100.0);
  return std::clamp(1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6, 1.0, 4.5);
}

RateWindow::Rates RateWindow::update(std::int64_t now_ns, const Counters& now) noexcept {
  constexpr std::int64_t kSecond = 1'000'000'000;
  if (used_ == 0 || now_ns - marks_[0].time_ns >= kSecond) {
    std::copy_backward(marks_.begin(), marks_.end() - 1, marks_.end());
    marks_[0] = {now_ns, now};
    used_ = std::min(used_ + 1, kSeconds);
  }
  const Mark& oldest = marks_[static_cast<std::size_t>(used_ - 1)];
  const double ms = static_cast<double>(now_ns - oldest.time_ns) / 1e6;
  Rates rates;
  if (ms < 100) return rates;
  const auto grown = [](std::uint64_t a, std::uint64_t b) {
    return a > b ? static_cast<double>(a - b) : 0.0;
  };
  const double lost = grown(now.lost, oldest.counters.lost);
  const double expected = lost + grown(now.received, oldest.counters.received);
  if (expected > 0) rates.loss_percent = 100 * lost / expected;
  rates.concealed_percent =
      std::min(100 * grown(now.concealed_ms, oldest.counters.concealed_ms) / ms, 100.0);
  rates.tx_kbps = 8 * grown(now.tx_bytes, oldest.counters.tx_bytes) / ms;
  rates.rx_kbps = 8 * grown(now.rx_bytes, oldest.counters.rx_bytes) / ms;
  return rates;
}

}  // namespace conclave::media
