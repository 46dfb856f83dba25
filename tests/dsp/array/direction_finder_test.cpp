// SPDX-License-Identifier: Apache-2.0
#include "dsp/array/direction_finder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "base/realtime.h"
#include "dsp/transform/stft.h"
#include "tests/dsp/array/simulation.h"

namespace conclave::dsp {
namespace {

using simulation::at;
using simulation::Recording;
using simulation::turn;

/// Runs a finder over a recording and calls `each(frame, metrics)`.
template <typename F>
void run(
    const Geometry& g, const Recording& mics, int rate, F each,
    bool (*adapt)(int) = [](int) { return true; }) {
  const int hop = rate / 100;
  const int count = static_cast<int>(mics.size());
  auto stft = StftAnalysis::create(count, hop).value();
  auto finder = DirectionFinder::create(
                    {.geometry = g, .sample_rate = rate, .fft_size = stft->fft_size(), .hop = hop})
                    .value();
  FrameBuffer in(count, hop);
  SpectrumBuffer spectra(count, stft->bins());
  const int frames = static_cast<int>(mics[0].size()) / hop;
  for (int t = 0; t < frames; ++t) {
    for (int m = 0; m < count; ++m) {
      std::memcpy(in[m].data(),
                  &mics[static_cast<std::size_t>(m)][static_cast<std::size_t>(t * hop)],
                  sizeof(float) * static_cast<std::size_t>(hop));
    }
    {
      realtime::Scope guard;
      stft->process(in, spectra);
      finder->process(spectra, adapt(t));
    }
    each(t, finder->metrics());
  }
}

/// Talker in a room with diffuse noise at `snr_db` against the speech as received.
Recording scene(const Geometry& g, const simulation::Room& room, double azimuth, double elevation,
                double distance, double snr_db, int rate, double seconds, std::uint32_t seed,
                std::vector<bool>* talking) {
  const auto dry = simulation::speech(rate, seconds, seed, talking);
  Recording mics = simulation::convolve(
      dry, simulation::impulse_responses(room, g, at(azimuth, elevation, distance), rate));
  const double gain = std::sqrt(simulation::power(mics) * std::pow(10.0, -snr_db / 10));
  simulation::add(mics, simulation::diffuse(g, rate, dry.size(), seed + 7), gain);
  return mics;
}

struct Score {
  int speech = 0;
  int hits = 0;
  int strangers = 0;  // frames with an active track elsewhere
  int frames = 0;
};

Score score(const Geometry& g, const Recording& mics, int rate, double azimuth,
            const std::vector<bool>& talking) {
  Score s;
  run(g, mics, rate, [&](int t, const DirectionMetrics& m) {
    if (t < 30) return;  // the noise is being learned
    ++s.frames;
    bool stranger = false;
    for (int i = 0; i < m.track_count; ++i) {
      const auto& track = m.tracks[static_cast<std::size_t>(i)];
      stranger = stranger || (track.active && std::abs(turn(track.azimuth_deg, azimuth)) > 15);
    }
    s.strangers += stranger ? 1 : 0;
    if (!talking[static_cast<std::size_t>(t)]) return;
    ++s.speech;
    if (m.valid && std::abs(turn(m.azimuth_deg, azimuth)) <= 10) ++s.hits;
  });
  return s;
}

TEST(DirectionFinder, finds_a_far_talker_in_a_reverberant_noisy_room) {
  const Geometry g = simulation::ring(8, 0.09);
  simulation::Room room;  // RT60 0.6 s
  room.centre = {3.3, 2.5, 0.8};
  std::vector<bool> talking;
  const Recording mics = scene(g, room, 12, 8, 3.0, 5, 16000, 4, 11, &talking);
  const Score s = score(g, mics, 16000, 12, talking);
  ASSERT_GT(s.speech, 100);
  EXPECT_GT(s.hits, 0.8 * s.speech) << s.hits << " of " << s.speech;
  // The first image in a hard wall is 6 dB down here and now and then taken for a second talker.
  EXPECT_LT(s.strangers, 0.7 * s.frames);
}

TEST(DirectionFinder, works_at_48_kHz_and_with_a_small_array) {
  const Geometry g = simulation::small_ring_with_centre();
  simulation::Room room;
  room.rt60_s = 0.3;
  std::vector<bool> talking;
  const Recording mics = scene(g, room, 245, 20, 1.5, 10, 48000, 2, 5, &talking);
  const Score s = score(g, mics, 48000, 245, talking);
  ASSERT_GT(s.speech, 50);
  EXPECT_GT(s.hits, 0.85 * s.speech) << s.hits << " of " << s.speech;
}

TEST(DirectionFinder, follows_two_talkers_and_keeps_their_ids) {
  const Geometry g = simulation::ring(8, 0.09);
  simulation::Room room;
  room.rt60_s = 0.4;
  constexpr int kRate = 16000;
  std::vector<bool> talking;
  Recording mics = scene(g, room, 40, 15, 1.5, 15, kRate, 6, 3, &talking);
  std::vector<bool> other_talking;
  const Recording other = scene(g, room, 190, 15, 1.5, 15, kRate, 6, 4, &other_talking);
  // Two seconds of one, two of the other, two of the first again.
  for (std::size_t m = 0; m < mics.size(); ++m) {
    std::copy(other[m].begin() + 2 * kRate, other[m].begin() + 4 * kRate,
              mics[m].begin() + 2 * kRate);
  }
  std::set<int> first;
  std::set<int> second;
  int wrong = 0;
  run(g, mics, kRate, [&](int t, const DirectionMetrics& m) {
    const bool settled = t % 200 > 60;
    if (!settled || t < 100) return;
    const double truth = t >= 200 && t < 400 ? 190 : 40;
    if (std::abs(turn(m.azimuth_deg, truth)) > 10) ++wrong;
    for (const auto& track : m.tracks) {
      if (track.id == 0 || !track.active) continue;
      if (std::abs(turn(track.azimuth_deg, 40)) < 12) first.insert(track.id);
      if (std::abs(turn(track.azimuth_deg, 190)) < 12) second.insert(track.id);
    }
  });
  EXPECT_LT(wrong, 40);
  EXPECT_EQ(first.size(), 1U);
  EXPECT_EQ(second.size(), 1U);
}

TEST(DirectionFinder, holds_noise_to_be_nobody) {
  const Geometry g = simulation::ring(8, 0.09);
  Recording mics = simulation::diffuse(g, 16000, 6 * 16000, 9);
  for (auto& m : mics) {
    for (float& v : m) v *= 0.02F;
  }
  int active = 0;
  int frames = 0;
  run(g, mics, 16000, [&](int t, const DirectionMetrics& m) {
    if (t < 50) return;
    ++frames;
    if (m.activity > 0.5F) ++active;
  });
  EXPECT_LT(active, 0.05 * frames);
}

TEST(DirectionFinder, holds_while_only_the_far_end_talks) {
  const Geometry g = simulation::ring(8, 0.09);
  simulation::Room room;
  room.rt60_s = 0.3;
  constexpr int kRate = 16000;
  std::vector<bool> talking;
  Recording mics = scene(g, room, 300, 15, 1.2, 15, kRate, 4, 21, &talking);
  const Recording echo = scene(g, room, 100, 5, 0.5, 30, kRate, 4, 22, &talking);
  for (std::size_t m = 0; m < mics.size(); ++m) {
    std::copy(echo[m].begin() + 2 * kRate, echo[m].end(), mics[m].begin() + 2 * kRate);
  }
  run(
      g, mics, kRate,
      [&](int t, const DirectionMetrics& m) {
        if (t < 195) return;
        EXPECT_LT(std::abs(turn(m.azimuth_deg, 300)), 10) << t;
        if (t > 260) {
          EXPECT_LT(m.activity, 0.05F);
        }
      },
      [](int t) { return t < 200; });
}

TEST(DirectionFinder, recovers_from_what_is_not_a_number_and_repeats_itself) {
  const Geometry g = simulation::ring(8, 0.09);
  simulation::Room room;
  room.rt60_s = 0;
  std::vector<bool> talking;
  Recording mics = scene(g, room, 75, 15, 1.2, 20, 16000, 3, 31, &talking);
  mics[2][16000] = std::numeric_limits<float>::quiet_NaN();
  mics[5][17000] = std::numeric_limits<float>::infinity();
  std::vector<float> once;
  DirectionMetrics last;
  run(g, mics, 16000, [&](int, const DirectionMetrics& m) {
    EXPECT_TRUE(std::isfinite(m.azimuth_deg) && std::isfinite(m.activity));
    once.push_back(m.azimuth_deg);
    last = m;
  });
  EXPECT_LT(std::abs(turn(last.azimuth_deg, 75)), 5);
  std::size_t i = 0;
  run(g, mics, 16000, [&](int, const DirectionMetrics& m) { EXPECT_EQ(m.azimuth_deg, once[i++]); });
}

TEST(DirectionFinder, obeys_a_direction_that_is_set_and_needs_a_plane) {
  auto finder = DirectionFinder::create({.geometry = simulation::ring(8, 0.09)}).value();
  finder->set_params({.fixed = true, .fixed_azimuth_deg = -90, .fixed_elevation_deg = 10});
  SpectrumBuffer x(8, 513);
  finder->process(x, true);
  EXPECT_TRUE(finder->metrics().valid);
  EXPECT_FLOAT_EQ(finder->metrics().azimuth_deg, 270);
  auto pair = DirectionFinder::create({.geometry = simulation::ring(2, 0.05)}).value();
  SpectrumBuffer two(2, 513);
  pair->process(two, true);
  EXPECT_FALSE(pair->metrics().valid);
  EXPECT_FALSE(DirectionFinder::create({.geometry = {}}).ok());
  EXPECT_FALSE(
      DirectionFinder::create({.geometry = simulation::ring(8, 0.09), .fft_size = 3}).ok());
}

}  // namespace
}  // namespace conclave::dsp
