// SPDX-License-Identifier: Apache-2.0
#include "engine/reference_aligner.h"

#include <gtest/gtest.h>

#include "tests/engine/synthetic_capture.h"

namespace conclave::engine {
namespace {

constexpr int kRate = 16000;
constexpr int kHop = 160;

class Aligner : public testing::Test {
 protected:
  // Runs seconds of an echo with this delay; returns how often a filter would have to start anew.
  int run(double seconds, int delay) {
    int voids = 0;
    const auto blocks = static_cast<int>(seconds * 100.0);
    std::vector<float> mic(kHop), far(kHop), aligned(kHop);
    for (int b = 0; b < blocks; ++b, at_ += kHop) {
      for (int i = 0; i < kHop; ++i) {
        const auto n = static_cast<std::size_t>(at_ + i);
        const auto u = static_cast<std::size_t>(i);
        far[u] = far_[n];
        mic[u] =
            static_cast<int>(n) >= delay ? 0.5F * far_[n - static_cast<std::size_t>(delay)] : 0;
        mic[u] += noise_[n];
      }
      voids += aligner_->process(mic, far, false, aligned).filter_is_void ? 1 : 0;
    }
    return voids;
  }
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
  EXPECT_NEAR(aligner_->applied_samples(), kRate * 3 / 10 - kRate / 50, kRate / 1000);
}

TEST_F(Aligner, follows_a_jump_without_voiding_the_filter) {
  run(6.0, kRate / 50);
  EXPECT_EQ(run(8.0, kRate / 50 + kRate * 80 / 1000), 0);
  EXPECT_NEAR(aligner_->applied_samples(), kRate * 80 / 1000, 2);
}

TEST_F(Aligner, forgets_on_reset) {
  run(8.0, kRate * 3 / 10);
  aligner_->reset();
  EXPECT_EQ(aligner_->applied_samples(), 0);
  EXPECT_LT(aligner_->delay_ms(), 0.0F);
}

}  // namespace
}  // namespace conclave::engine
