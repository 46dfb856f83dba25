// SPDX-License-Identifier: Apache-2.0
#include "dsp/array/satellite_mixer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "base/realtime.h"

namespace conclave::dsp {
namespace {

using Complex = std::complex<float>;
constexpr int kBins = 257;

/// Syllables over noise: source 0 is the beam, 1 and 2 are satellites.
class Scene {
 public:
  explicit Scene(std::uint32_t seed) : random_(seed), x_(3, kBins) {}
  SpectrumView make(int t, const float (&speech)[3], const float (&noise)[3]) {
    const bool talks = t >= 40 && t % 40 < 28;  // first comes the room alone
    for (int s = 0; s < 3; ++s) {
      for (Complex& v : x_[s]) {
        const float a = talks ? speech[s] : 0.0F;
        v = a * Complex(normal_(random_), normal_(random_)) +
            noise[s] * Complex(normal_(random_), normal_(random_));
      }
    }
    return x_;
  }

 private:
  std::mt19937 random_;
  std::normal_distribution<float> normal_{0, 1};
  SpectrumBuffer x_;
};

std::unique_ptr<SatelliteMixer> make_mixer() {
  return SatelliteMixer::create(
             {.sample_rate = 16000, .fft_size = 512, .hop = 160, .satellites = 2})
      .value();
}

TEST(SatelliteMixer, takes_the_best_source_and_matches_its_level) {
  auto mixer = make_mixer();
  Scene scene(1);
  SpectrumBuffer out(1, kBins);
  const bool synced[2] = {true, true};
  double level = 0;
  for (int t = 0; t < 600; ++t) {
    // Satellite 1 is near the talker: 15 dB better, and 12 dB louder than the beam.
    auto x = scene.make(t, {0.3F, 1.2F, 0.1F}, {0.1F, 0.07F, 0.1F});
    realtime::Scope guard;
    mixer->process(x.rows(0, 1), x.rows(1, 2), synced, true, out);
    if (t > 400 && t % 40 > 5 && t % 40 < 25) {
      for (const Complex& v : out[0]) level += std::norm(v);
    }
  }
  EXPECT_EQ(mixer->metrics().selected, 1);
  EXPECT_NEAR(mixer->metrics().share[1], 1, 1e-5);
  EXPECT_NEAR(mixer->metrics().match_db[1], -12, 1.5);
  EXPECT_NEAR(10 * std::log10(level / (5 * 19 * kBins) / (2 * 0.09)), 0, 1.5);
}

TEST(SatelliteMixer, never_uses_a_satellite_that_is_not_synced) {
  auto mixer = make_mixer();
  Scene scene(2);
  SpectrumBuffer out(1, kBins);
  for (int t = 0; t < 600; ++t) {
    const bool synced[2] = {t >= 200 && t < 400, false};
    auto x = scene.make(t, {0.3F, 1.0F, 2.0F}, {0.1F, 0.05F, 0.05F});
    mixer->process(x.rows(0, 1), x.rows(1, 2), synced, true, out);
    EXPECT_EQ(mixer->metrics().share[2], 0);
    if (!synced[0]) {
      EXPECT_EQ(mixer->metrics().share[1], 0) << t;
      EXPECT_EQ(mixer->metrics().selected, 0);
      EXPECT_NEAR(mixer->metrics().share[0], 1, 1e-6);
    }
    if (t == 350) {
      EXPECT_EQ(mixer->metrics().selected, 1);
    }
  }
}

TEST(SatelliteMixer, stays_with_a_source_that_is_as_good) {
  auto mixer = make_mixer();
  Scene scene(3);
  SpectrumBuffer out(1, kBins);
  const bool synced[2] = {true, true};
  int changes = 0;
  int last = 0;
  for (int t = 0; t < 1500; ++t) {
    auto x = scene.make(t, {0.3F, 0.33F, 0.27F}, {0.1F, 0.1F, 0.1F});
    mixer->process(x.rows(0, 1), x.rows(1, 2), synced, true, out);
    if (mixer->metrics().selected != last) ++changes;
    last = mixer->metrics().selected;
  }
  EXPECT_LE(changes, 1);
}

TEST(SatelliteMixer, holds_while_only_the_far_end_talks_and_survives_bad_numbers) {
  auto mixer = make_mixer();
  Scene scene(4);
  SpectrumBuffer out(1, kBins);
  SpectrumBuffer again(1, kBins);
  const bool synced[2] = {true, true};
  for (int t = 0; t < 400; ++t) {
    auto x = scene.make(t, {0.5F, 0.1F, 0.1F}, {0.1F, 0.1F, 0.1F});
    mixer->process(x.rows(0, 1), x.rows(1, 2), synced, true, out);
  }
  ASSERT_EQ(mixer->metrics().selected, 0);
  for (int t = 0; t < 200; ++t) {
    auto x = scene.make(t, {0.1F, 3.0F, 0.1F}, {0.1F, 0.1F, 0.1F});
    mixer->process(x.rows(0, 1), x.rows(1, 2), synced, false, out);
    EXPECT_EQ(mixer->metrics().selected, 0);
    mixer->apply(x.rows(0, 1), x.rows(1, 2), again);
    EXPECT_EQ(out[0][20], again[0][20]);
  }
  auto x = scene.make(0, {0.1F, 3.0F, 0.1F}, {0.1F, 0.1F, 0.1F});
  x[0][9] = {std::numeric_limits<float>::quiet_NaN(), 0};
  x[1][30] = {std::numeric_limits<float>::infinity(), 0};
  mixer->process(x.rows(0, 1), x.rows(1, 2), synced, true, out);
  for (const Complex& v : out[0]) EXPECT_TRUE(std::isfinite(v.real()));
  x = scene.make(0, {0.5F, 0.1F, 0.1F}, {0.1F, 0.1F, 0.1F});
  mixer->process(x.rows(0, 1), x.rows(1, 2), synced, true, out);
  EXPECT_NE(out[0][9], Complex(0));
}

TEST(SatelliteMixer, without_satellites_it_is_a_wire) {
  auto mixer = SatelliteMixer::create({.satellites = 0}).value();
  SpectrumBuffer beam(1, 513);
  SpectrumBuffer out(1, 513);
  for (Complex& v : beam[0]) v = {1, 2};
  mixer->process(beam, ConstSpectrumView(), {}, true, out);
  EXPECT_EQ(out[0][100], Complex(1, 2));
  EXPECT_FALSE(SatelliteMixer::create({.satellites = 5}).ok());
}

}  // namespace
}  // namespace conclave::dsp
