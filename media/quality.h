// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace conclave::media {

/// Mean opinion score, 1 to 4.5, from what a call's counters know: the E-model (ITU-T G.107) with
/// its default 93.2, delay impairment in the usual two-line form (Cole & Rosenbluth, "Voice over IP
/// performance monitoring", 2001) and loss robustness Bpl = 20 for Opus with concealment. It is
/// made for comparing calls: narrow-band scale, no echo, no wide-band bonus.
double estimate_mos(double one_way_delay_ms, double loss_percent) noexcept;

/// Differences of counters over the last seconds. One thread.
class RateWindow {
 public:
  static constexpr int kSeconds = 5;
  struct Counters {
    std::uint64_t received = 0, lost = 0, concealed_ms = 0, tx_bytes = 0, rx_bytes = 0;
  };
  struct Rates {
    double loss_percent = 0;
    double concealed_percent = 0;
    double tx_kbps = 0, rx_kbps = 0;
  };
  /// Call it at least once a second.
  Rates update(std::int64_t now_ns, const Counters& now) noexcept;

 private:
  struct Mark {
    std::int64_t time_ns = 0;
    Counters counters;
  };
  std::array<Mark, kSeconds> marks_{};
  int used_ = 0;
};

}  // namespace conclave::media
