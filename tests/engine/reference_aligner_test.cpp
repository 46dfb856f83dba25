// SPDX-License-Identifier: Apache-2.0
#include "engine/reference_aligner.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/engine/synthetic_capture.h"

namespace conclave::engine {
namespace {

constexpr int kRate = 16000;
constexpr int samples(int ms) { return ms * kRate / 1000; }
constexpr int kHop = 160;

class Aligner : public testing::Test {
 protected:
  // Runs seconds of an echo with this delay, which shrinks by `ppm`; returns how often a filter
  // would have to start anew.
  int run(double seconds, int delay, double ppm = 0) {
    int voids = 0;
    const auto blocks = static_cast<int>(seconds * 100.0);
    std::vector<float> mic(kHop);
    FrameBuffer far(1, kHop), aligned(1, kHop);
    for (int b = 0; b < blocks; ++b, at_ += kHop) {
      for (int i = 0; i < kHop; ++i) {
        const int n = at_ + i;
        const auto u = static_cast<std::size_t>(i);
        far[0][u] = far_[static_cast<std::size_t>(n)];
        mic[u] = 0.5F * at(n * (1 + ppm * 1e-6) - delay) + noise_[static_cast<std::size_t>(n)];
      }
      const auto change = aligner_->process(mic, far, fits_, aligned);
      voids += change.filter_is_void ? 1 : 0;
      shifted_ += change.shifted;
    }
    return voids;
  }
  // The far end between its samples.
  float at(double time) const {
    const double whole = std::floor(time);
    const auto part = static_cast<float>(time - whole);
    const auto n = static_cast<std::ptrdiff_t>(whole);
    if (n < 0) return 0.0F;
    const auto u = static_cast<std::size_t>(n);
    return part == 0.0F ? far_[u] : (1 - part) * far_[u] + part * far_[u + 1];
  }
  bool fits_ = false;
  int shifted_ = 0;
  std::vector<float> far_ = test::babble(30 * kRate, kRate, 0.1F, 3);
  std::vector<float> noise_ = test::white(30 * kRate, 0.0005F, 4);
  std::unique_ptr<ReferenceAligner> aligner_ =
      std::move(*ReferenceAligner::create(kRate, kHop, 200, 352));
  int at_ = 0;
};

TEST_F(Aligner, leaves_a_short_delay_alone) {
  EXPECT_EQ(run(6.0, kRate / 50), 0);
  EXPECT_NEAR(aligner_->delay_ms(), 20.0F, 1.0F);
  EXPECT_EQ(aligner_->applied_samples(), 0);
}

TEST_F(Aligner, brings_a_long_delay_into_the_filter) {
  EXPECT_EQ(run(8.0, kRate * 3 / 10), 1);
  EXPECT_NEAR(aligner_->delay_ms(), 300.0F, 1.0F);
  EXPECT_NEAR(aligner_->applied_samples(), samples(280), samples(1));
}

TEST_F(Aligner, follows_a_jump_without_voiding_the_filter) {
  run(6.0, kRate / 50);
  EXPECT_EQ(run(8.0, kRate / 50 + kRate * 80 / 1000), 0);
  EXPECT_NEAR(aligner_->applied_samples(), samples(80), 2);
}

TEST_F(Aligner, glides_with_a_filter_that_has_found_the_echo) {
  fits_ = true;
  EXPECT_EQ(run(4.0, kRate * 15 / 100), 0);
  // 150 ms are late in a filter of 200: the reference goes there, the filter is told.
  EXPECT_NEAR(aligner_->applied_samples(), samples(130), samples(1));
  EXPECT_EQ(shifted_, aligner_->applied_samples());
}

TEST_F(Aligner, resamples_the_reference_of_another_clock) {
  run(12.0, kRate / 20, 100.0);
  EXPECT_NEAR(aligner_->drift_ppm(), 100.0F, 5.0F);
  EXPECT_TRUE(aligner_->resampling());
  // The echo comes 100 ppm nearer; the reference follows it.
  const int then = aligner_->applied_samples();
  run(6.0, kRate / 20, 100.0);
  EXPECT_NEAR(then - aligner_->applied_samples(), 6.0 * kRate * 100e-6, 3.0);
}

TEST_F(Aligner, leaves_equal_clocks_alone) {
  run(20.0, kRate / 20);
  EXPECT_FALSE(aligner_->resampling());
  EXPECT_NEAR(aligner_->drift_ppm(), 0.0F, 2.0F);
}

TEST_F(Aligner, forgets_on_reset) {
  run(8.0, kRate * 3 / 10);
  aligner_->reset();
  EXPECT_EQ(aligner_->applied_samples(), 0);
  EXPECT_LT(aligner_->delay_ms(), 0.0F);
}

}  // namespace
}  // namespace conclave::engine
