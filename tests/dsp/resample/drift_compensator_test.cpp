// SPDX-License-Identifier: Apache-2.0
#include "dsp/resample/drift_compensator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <random>
#include <utility>
#include <vector>

#include "base/realtime.h"

namespace conclave::dsp {
namespace {

/// A card on its own clock that delivers in bursts, beside a ring that pulls every hop.
class Bench {
 public:
  Bench(double ppm, int burst, double jitter_frames, float target_ms = 25)
      : ppm_(ppm), burst_(burst), jitter_(jitter_frames), in_(1, 48000), out_(1, kHop) {
    DriftCompensatorConfig config;
    config.target_latency_ms = target_ms;
    drift_ = DriftCompensator::create(config).value();
  }

  void run(double seconds, bool card_alive = true) {
    const long blocks = std::lround(seconds * 48000 / kHop);
    std::uniform_real_distribution<double> late(0, jitter_);
    for (long b = 0; b < blocks; ++b) {
      now_ += kHop;
      captured_ += kHop * (1 + ppm_ * 1e-6);
      const double seen = captured_ - (jitter_ > 0 ? late(random_) : 0.0);
      const auto deliverable = static_cast<std::int64_t>(std::floor(seen / burst_)) * burst_;
      int count = static_cast<int>(std::max<std::int64_t>(0, deliverable - delivered_));
      if (!card_alive) count = 0;
      for (int i = 0; i < count; ++i) {
        in_[0][static_cast<std::size_t>(i)] = static_cast<float>(
            0.25 * std::sin(2 * std::numbers::pi * 997.0 / 48000.0 *
                            static_cast<double>(delivered_ + i) / (1 + ppm_ * 1e-6)));
      }
      delivered_ += count;
      if (!card_alive) delivered_ = std::max(delivered_, deliverable);
      {
        realtime::Scope scope;
        drift_->push(std::as_const(in_).view().columns(0, count));
        drift_->pull(out_);
      }
      recorded_.insert(recorded_.end(), out_[0].begin(), out_[0].end());
    }
  }

  /// Sine over the rest in the last `seconds`, dB (sine of the ring's clock, phase fitted).
  double purity_db(double seconds) const {
    const auto count = static_cast<std::size_t>(seconds * 48000);
    const std::size_t first = recorded_.size() - count;
    double s = 0, c = 0, power = 0;
    for (std::size_t i = first; i < recorded_.size(); ++i) {
      const double phase = 2 * std::numbers::pi * 997.0 / 48000.0 * static_cast<double>(i);
      s += recorded_[i] * std::sin(phase);
      c += recorded_[i] * std::cos(phase);
      power += static_cast<double>(recorded_[i]) * recorded_[i];
    }
    const double tone = 2 * (s * s + c * c) / static_cast<double>(count);
    return 10 * std::log10(tone / std::max(1e-30, power - tone));
  }

  static constexpr int kHop = 480;
  double ppm_;
  int burst_;
  double jitter_;
  FrameBuffer in_;
  FrameBuffer out_;
  std::unique_ptr<DriftCompensator> drift_;
  std::vector<float> recorded_;
  std::mt19937 random_{3};
  double now_ = 0;
  double captured_ = 0;
  std::int64_t delivered_ = 0;
};

TEST(DriftCompensator, fine_delivery_finds_the_clock) {
  for (const double ppm : {-200.0, 0.0, 80.0}) {
    Bench bench(ppm, 8, 0);
    bench.run(10);
    const auto m = bench.drift_->metrics();
    EXPECT_NEAR(m.ppm, ppm, 5);
    EXPECT_TRUE(m.synced);
    EXPECT_EQ(m.underruns + m.overruns, 0U);
    bench.run(3);
    EXPECT_GT(bench.purity_db(1), 28);  // a ppm of the clock's wander is heard by the meter only
  }
}

TEST(DriftCompensator, odd_bursts_with_jitter) {
  Bench bench(120, 1024, 150, 40);
  bench.run(40);
  const auto m = bench.drift_->metrics();
  EXPECT_NEAR(m.ppm, 120, 15);
  EXPECT_TRUE(m.synced);
  EXPECT_EQ(m.underruns + m.overruns, 0U);
  EXPECT_NEAR(m.fill_frames, 40 * 48, 200);
}

TEST(DriftCompensator, bursts_of_the_hop_learn_from_each_wrap) {
  Bench bench(150, 480, 0);
  bench.run(150);
  EXPECT_NEAR(bench.drift_->metrics().ppm, 150, 25);
  EXPECT_TRUE(bench.drift_->metrics().synced);
  EXPECT_EQ(bench.drift_->metrics().underruns, 0U);
}

TEST(DriftCompensator, a_dead_card_comes_back) {
  Bench bench(100, 48, 20);
  bench.run(20);
  EXPECT_TRUE(bench.drift_->metrics().synced);
  bench.run(1, false);
  auto m = bench.drift_->metrics();
  EXPECT_FALSE(m.synced);
  EXPECT_EQ(m.underruns, 1U);
  EXPECT_EQ(bench.recorded_.back(), 0.0F);
  bench.run(15);
  m = bench.drift_->metrics();
  EXPECT_TRUE(m.synced);
  EXPECT_NEAR(m.ppm, 100, 30);
  EXPECT_EQ(m.underruns, 1U);
}

TEST(DriftCompensator, a_flood_restarts_at_the_target) {
  Bench bench(0, 48, 0);
  bench.run(3);
  FrameBuffer flood(1, 40000);
  bench.drift_->push(flood);
  bench.run(3);
  const auto m = bench.drift_->metrics();
  EXPECT_GE(m.overruns, 1U);
  EXPECT_TRUE(m.synced);
  EXPECT_LT(m.latency_ms, 40);
}

TEST(DriftCompensator, invalid_samples_do_not_come_out) {
  Bench bench(0, 48, 0);
  bench.run(1);
  FrameBuffer bad(1, 48);
  for (float& x : bad[0]) x = std::numeric_limits<float>::quiet_NaN();
  bad[0][3] = std::numeric_limits<float>::infinity();
  bench.drift_->push(bad);
  bench.run(1);
  for (const float x : bench.recorded_) ASSERT_TRUE(std::isfinite(x));
}

TEST(DriftCompensator, refuses_nonsense) {
  DriftCompensatorConfig config;
  config.channels = 0;
  EXPECT_FALSE(DriftCompensator::create(config).ok());
  config = {};
  config.target_latency_ms = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(DriftCompensator::create(config).ok());
  config = {};
  config.hop = 0;
  EXPECT_FALSE(DriftCompensator::create(config).ok());
}

}  // namespace
}  // namespace conclave::dsp
