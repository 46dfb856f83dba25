// SPDX-License-Identifier: Apache-2.0
#include "media/quality.h"

#include <gtest/gtest.h>

#include "media/downlink_pacer.h"

namespace conclave::media {
namespace {

TEST(Mos, falls_with_delay_and_loss) {
  EXPECT_NEAR(estimate_mos(20, 0), 4.4, 0.05);
  EXPECT_NEAR(estimate_mos(150, 0), 4.3, 0.1);
  EXPECT_LT(estimate_mos(400, 0), 3.7);
  EXPECT_LT(estimate_mos(20, 10), 3.5);
  EXPECT_LT(estimate_mos(20, 100), 1.2);
  for (int loss = 0; loss < 50; ++loss) {
    EXPECT_GT(estimate_mos(50, loss), estimate_mos(50, loss + 1));
  }
}

TEST(RateWindow, looks_at_the_last_seconds_only) {
  RateWindow window;
  RateWindow::Counters c;
  RateWindow::Rates rates;
  for (int i = 0; i < 200; ++i) {
    c.received += 9;
    c.lost += i < 100 ? 1 : 0;
    c.tx_bytes += 1000;
    rates = window.update(i * 100'000'000LL, c);
    if (i == 99) {
      EXPECT_NEAR(rates.loss_percent, 10, 0.1);
    }
  }
  EXPECT_EQ(rates.loss_percent, 0);
  EXPECT_NEAR(rates.tx_kbps, 80, 0.1);
}

TEST(DownlinkPacer, one_frame_is_enough_on_a_punctual_machine) {
  constexpr std::int64_t kMs = 1'000'000;
  DownlinkPacer pacer;
  EXPECT_EQ(pacer.frames(), 2u);
  std::int64_t now = 1000 * kMs;
  for (int i = 0; i < 1100; ++i, now += 10 * kMs) pacer.woke(now, now + 100'000);
  EXPECT_EQ(pacer.frames(), 1u);
  pacer.woke(now, now + 6 * kMs);
  EXPECT_EQ(pacer.frames(), 2u);
  for (int i = 0; i < 900; ++i, now += 10 * kMs) pacer.woke(now, now);
  EXPECT_EQ(pacer.frames(), 2u);
  for (int i = 0; i < 200; ++i, now += 10 * kMs) pacer.woke(now, now);
  EXPECT_EQ(pacer.frames(), 1u);
  pacer.moved(now);
  EXPECT_EQ(pacer.next_look_ns(now), now + 8'500'000);
  EXPECT_EQ(pacer.next_look_ns(now + 9 * kMs), now + 10 * kMs);
  EXPECT_EQ(DownlinkPacer(3).frames(), 3u);
}

}  // namespace
}  // namespace conclave::media
