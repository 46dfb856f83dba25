// SPDX-License-Identifier: Apache-2.0
#include "engine/clock_observer.h"

#include <gtest/gtest.h>

#include "base/realtime.h"
#include "tests/engine/synthetic_capture.h"

namespace conclave::engine {
namespace {

constexpr int kRate = 16000;
constexpr int kHop = 160;

// What a card whose clock runs `ppm` fast, `late_ms` behind, makes of a sound.
std::vector<float> heard(const std::vector<float>& sound, double ppm, double late_ms) {
  std::vector<float> out(sound.size());
  for (std::size_t n = 0; n < out.size(); ++n) {
    const double at = static_cast<double>(n) / (1.0 + ppm * 1e-6) - late_ms * kRate / 1000.0;
    const auto whole = static_cast<std::ptrdiff_t>(std::floor(at));
    if (whole < 8 || whole + 9 >= static_cast<std::ptrdiff_t>(sound.size())) continue;
    double sum = 0.0;
    for (std::ptrdiff_t k = -7; k <= 8; ++k) {
      const double t = at - static_cast<double>(whole + k);
      const double sinc = std::abs(t) < 1e-9 ? 1.0 : std::sin(M_PI * t) / (M_PI * t);
      sum += sinc * (0.5 + 0.5 * std::cos(M_PI * t / 9.0)) *
             static_cast<double>(sound[static_cast<std::size_t>(whole + k)]);
    }
    out[n] = static_cast<float>(sum);
  }
  return out;
}

class Clock : public testing::TestWithParam<double> {};

TEST_P(Clock, is_measured_from_the_sound) {
  const double ppm = GetParam();
  constexpr int kFrames = 14 * kRate;
  const auto sound = test::babble(kFrames, kRate, 0.05F, 4);
  FrameBuffer reference(1, kFrames), satellites(2, kFrames);
  std::ranges::copy(sound, reference[0].begin());
  std::ranges::copy(heard(sound, ppm, 55.0), satellites[0].begin());
  std::ranges::copy(heard(sound, -ppm, 30.0), satellites[1].begin());
  test::add_noise(0.005F, 5, reference);
  test::add_noise(0.005F, 8, satellites);
  auto observer = std::move(*ClockObserver::create(kRate, kHop, 2));
  for (int at = 0; at + kHop <= kFrames; at += kHop) {
    const realtime::Scope scope;
    observer->process(std::as_const(reference).view().columns(at, kHop),
                      std::as_const(satellites).view().columns(at, kHop), true);
  }
  ASSERT_TRUE(observer->observation(0).ppm_known);
  EXPECT_NEAR(observer->observation(0).ppm, ppm, 3.0);
  EXPECT_NEAR(observer->observation(1).ppm, -ppm, 3.0);
  EXPECT_NEAR(observer->observation(0).delay_ms, 55.0, 2.0);
  EXPECT_NEAR(observer->observation(1).delay_ms, 30.0, 2.0);
  observer->reset();
  EXPECT_FALSE(observer->observation(0).ppm_known);
}
INSTANTIATE_TEST_SUITE_P(Ppm, Clock, testing::Values(0.0, 20.0, 90.0, -150.0));

TEST(ClockObserver, says_nothing_about_unrelated_sounds) {
  constexpr int kFrames = 8 * kRate;
  FrameBuffer both(2, kFrames);
  test::add_noise(0.05F, 1, both);
  auto observer = std::move(*ClockObserver::create(kRate, kHop, 1));
  for (int at = 0; at + kHop <= kFrames; at += kHop) {
    const auto view = std::as_const(both).view().columns(at, kHop);
    observer->process(view.rows(0, 1), view.rows(1, 1), true);
    ASSERT_FALSE(observer->observation(0).ppm_known);
  }
}

}  // namespace
}  // namespace conclave::engine
