// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/realtime.h"
#include "bench/room/image_method.h"
#include "bench/room/loudspeaker.h"
#include "bench/room/matrix_convolver.h"
#include "bench/room/random.h"
#include "bench/room/sinc.h"

namespace conclave::bench::room {
namespace {

Scene dry_scene(int rate) {
  Scene scene = synthetic_scene(rate);
  scene.rt60 = 0;
  return scene;
}

/// Delay in samples from the phase at 6 kHz, next to where it is expected.
double delay_near(const Response& response, int rate, double expected) {
  const double step = 2 * std::numbers::pi * 6000 / rate;
  double re = 0;
  double im = 0;
  for (std::size_t n = 0; n < response.size(); ++n) {
    const double angle = step * (static_cast<double>(n) - expected);
    re += static_cast<double>(response[n]) * std::cos(angle);
    im -= static_cast<double>(response[n]) * std::sin(angle);
  }
  return expected - std::atan2(im, re) / step;
}

TEST(ImageMethod, direct_path_has_the_right_delay_and_level) {
  const Scene scene = dry_scene(48000);
  const Shoebox shoebox(scene);
  const std::vector<Point> microphones{{0.045, 0, 0}, {-0.045, 0, 0}, {1.2, 0.1, 0}};
  const Point source{0.9, -0.7, 0.3};
  const auto responses = shoebox.responses(source, microphones, 100, 1.0);
  for (std::size_t m = 0; m < microphones.size(); ++m) {
    const double d = distance(source, microphones[m]);
    const double expected = 100 + d / 343.0 * 48000;
    EXPECT_NEAR(delay_near(responses[m], 48000, expected), expected, 0.03) << m;
    double energy = 0;
    for (const float x : responses[m]) energy += static_cast<double>(x) * static_cast<double>(x);
    EXPECT_NEAR(10 * std::log10(energy), -20 * std::log10(d), 0.4) << m;
  }
}

TEST(ImageMethod, a_source_next_to_the_microphone_is_not_cut_off) {
  const Scene scene = dry_scene(48000);
  const auto responses =
      Shoebox(scene).responses({0.05, 0, 0}, std::vector<Point>{{0.0, 0, 0}}, 0, 1.0);
  EXPECT_NEAR(delay_near(responses[0], 48000, 7.0), 0.05 / 343 * 48000, 0.05);
}

TEST(ImageMethod, reverberation_time_is_what_was_asked_for) {
  for (const int rate : {48000, 16000}) {
    for (const double wanted : {0.2, 0.35, 0.5}) {
      Scene scene = synthetic_scene(rate);
      scene.rt60 = wanted;
      scene.rt60_high = wanted;
      const Shoebox shoebox(scene);
      const auto responses = shoebox.responses(
          {0.95, 0.85, 0.35}, std::vector<Point>{{0.045, 0, 0}, {-1.1, -0.3, 0}}, 0, 1.0);
      for (const Response& response : responses)
        EXPECT_NEAR(reverberation_time(response, rate), wanted, 0.17 * wanted) << rate;
    }
  }
}

TEST(ImageMethod, the_high_band_decays_faster_when_told) {
  Scene scene = synthetic_scene(48000);
  const auto late_to_early = [&](double rt60_high) {
    scene.rt60_high = rt60_high;
    const auto response =
        Shoebox(scene).responses({0.95, 0.85, 0.35}, std::vector<Point>{{0, 0, 0}}, 0, 1.0)[0];
    double early = 0;
    double late = 0;
    for (std::size_t n = 1; n < response.size(); ++n) {
      // First difference: weighs the high band.
      const double d = static_cast<double>(response[n] - response[n - 1]);
      (n < 4800 ? early : late) += d * d;
    }
    return 10 * std::log10(late / early);
  };
  EXPECT_LT(late_to_early(0.15), late_to_early(0.35) - 6);
}

TEST(MatrixConvolver, equals_direct_convolution) {
  constexpr int kBlock = 80;
  constexpr int kTaps = 500;
  Random random(5);
  std::vector<std::vector<Response>> responses(2, std::vector<Response>(3, Response(kTaps)));
  for (auto& set : responses) {
    for (auto& response : set) {
      for (float& x : response) x = 0.1F * random.noise();
    }
  }
  auto convolver = MatrixConvolver::create(2, 3, kBlock, kTaps);
  ASSERT_TRUE(convolver);
  for (int s = 0; s < 2; ++s)
    (*convolver)->set_filter(s, (*convolver)->make_filter(responses[static_cast<std::size_t>(s)]));
  constexpr int kFrames = 30 * kBlock;
  FrameBuffer in(2, kFrames);
  FrameBuffer out(3, kFrames);
  for (int s = 0; s < 2; ++s) {
    for (float& x : in[s]) x = random.noise();
  }
  // A pause longer than the response, so that skipping silence is seen too.
  std::fill_n(in[1].begin() + 5 * kBlock, 12 * kBlock, 0.0F);
  {
    const realtime::Scope real_time;
    for (int b = 0; b < 30; ++b) {
      (*convolver)
          ->process(in.view().columns(b * kBlock, kBlock), out.view().columns(b * kBlock, kBlock));
    }
  }
  double worst = 0;
  for (int m = 0; m < 3; ++m) {
    for (int n = 0; n < kFrames; ++n) {
      double sum = 0;
      for (int s = 0; s < 2; ++s) {
        for (int k = 0; k < kTaps && k <= n; ++k) {
          sum += static_cast<double>(responses[static_cast<std::size_t>(
                     s)][static_cast<std::size_t>(m)][static_cast<std::size_t>(k)]) *
                 static_cast<double>(in[s][static_cast<std::size_t>(n - k)]);
        }
      }
      worst =
          std::max(worst, std::abs(sum - static_cast<double>(out[m][static_cast<std::size_t>(n)])));
    }
  }
  EXPECT_LT(worst, 2e-5);
}

TEST(MatrixConvolver, a_new_filter_fades_in_without_a_step) {
  constexpr int kBlock = 240;
  auto convolver = MatrixConvolver::create(1, 1, kBlock, 480);
  ASSERT_TRUE(convolver);
  (*convolver)->set_filter(0, (*convolver)->make_filter(std::vector<Response>{{1.0F}}));
  FrameBuffer in(1, kBlock);
  FrameBuffer out(1, kBlock);
  for (float& x : in[0]) x = 1;
  for (int b = 0; b < 4; ++b) (*convolver)->process(in, out);
  EXPECT_NEAR(out[0].back(), 1, 1e-5);
  float before = out[0].back();
  (*convolver)->set_filter(0, (*convolver)->make_filter(std::vector<Response>{{-1.0F}}));
  float largest_step = 0;
  for (int b = 0; b < 3; ++b) {
    (*convolver)->process(in, out);
    for (const float x : out[0]) {
      largest_step = std::max(largest_step, std::abs(x - before));
      before = x;
    }
  }
  EXPECT_NEAR(before, -1, 1e-5);
  EXPECT_LT(largest_step, 0.01F);
}

TEST(ClockSkew, gives_as_many_samples_as_the_clock_says_and_keeps_the_tone) {
  for (const double ppm : {40.0, -25.0, 0.0}) {
    constexpr int kBlock = 240;
    constexpr int kBlocks = 4000;  // 20 s
    ClockSkew clock(ppm, kBlock);
    std::vector<float> in(kBlock);
    std::vector<float> out(static_cast<std::size_t>(ClockSkew::max_output(kBlock)));
    std::vector<float> all;
    const double step = 2 * std::numbers::pi * 1000 / 48000;
    for (int b = 0; b < kBlocks; ++b) {
      for (int i = 0; i < kBlock; ++i)
        in[static_cast<std::size_t>(i)] = static_cast<float>(std::sin(step * (b * kBlock + i)));
      const int count = clock.process(in, out);
      all.insert(all.end(), out.begin(), out.begin() + count);
    }
    const double expected = kBlock * kBlocks * (1 + ppm * 1e-6);
    EXPECT_NEAR(static_cast<double>(all.size()), expected, 1.5) << ppm;
    // The card's sample k is the room's time k / (1 + ppm), late by delay_frames().
    double error = 0;
    for (std::size_t k = 1000; k < all.size(); ++k) {
      const double t = static_cast<double>(k) / (1 + ppm * 1e-6) - clock.delay_frames();
      const double e = static_cast<double>(all[k]) - std::sin(step * t);
      error += e * e;
    }
    EXPECT_LT(10 * std::log10(2 * error / static_cast<double>(all.size())), -80) << ppm;
  }
}

TEST(Resample, keeps_a_tone_in_place) {
  std::vector<float> in(16000);
  for (std::size_t n = 0; n < in.size(); ++n)
    in[n] =
        static_cast<float>(std::sin(2 * std::numbers::pi * 3000 * static_cast<double>(n) / 16000));
  const auto out = resample(in, 16000, 48000);
  ASSERT_EQ(out.size(), 48000U);
  double error = 0;
  for (std::size_t n = 1000; n < 47000; ++n) {
    const double e = static_cast<double>(out[n]) -
                     std::sin(2 * std::numbers::pi * 3000 * static_cast<double>(n) / 48000);
    error += e * e;
  }
  EXPECT_LT(10 * std::log10(2 * error / 46000), -70);
}

TEST(Loudspeaker, distorts_as_driven_and_has_no_deep_bass) {
  const auto distortion_db = [](double drive, double level) {
    Loudspeaker speaker(48000, drive, 0, 1);
    std::vector<float> in(48000);
    std::vector<float> out(in.size());
    for (std::size_t n = 0; n < in.size(); ++n) {
      in[n] = static_cast<float>(
          level * std::sin(2 * std::numbers::pi * 1000 * static_cast<double>(n) / 48000));
    }
    speaker.process(in, out);
    double re = 0;
    double im = 0;
    double all = 0;
    for (std::size_t n = 24000; n < 48000; ++n) {
      const double angle = 2 * std::numbers::pi * 1000 * static_cast<double>(n) / 48000;
      const double x = static_cast<double>(out[n]);
      re += x * std::cos(angle);
      im += x * std::sin(angle);
      all += x * x;
    }
    const double tone = 2 * (re * re + im * im) / 24000;
    return 10 * std::log10(std::max(all - tone, 1e-20) / all);
  };
  EXPECT_LT(distortion_db(0, 0.5), -100);
  EXPECT_GT(distortion_db(0.5, 0.9), -40);
  EXPECT_LT(distortion_db(0.5, 0.05), -50);

  Loudspeaker speaker(48000, 0, 0, 1);
  std::vector<float> in(48000);
  std::vector<float> out(in.size());
  for (std::size_t n = 0; n < in.size(); ++n)
    in[n] =
        static_cast<float>(std::sin(2 * std::numbers::pi * 50 * static_cast<double>(n) / 48000));
  speaker.process(in, out);
  EXPECT_LT(std::abs(*std::max_element(out.begin() + 24000, out.end())), 0.2F);
}

TEST(Loudspeaker, rubs_when_the_cone_is_far_out) {
  const auto noise = [](double rub) {
    Loudspeaker speaker(16000, 0, rub, 1);
    Loudspeaker clean(16000, 0, 0, 1);
    std::vector<float> in(16000);
    std::vector<float> a(in.size());
    std::vector<float> b(in.size());
    for (std::size_t n = 0; n < in.size(); ++n) {
      in[n] = static_cast<float>(
          0.8 * std::sin(2 * std::numbers::pi * 200 * static_cast<double>(n) / 16000));
    }
    speaker.process(in, a);
    clean.process(in, b);
    double energy = 0;
    for (std::size_t n = 0; n < a.size(); ++n)
      energy += std::pow(static_cast<double>(a[n] - b[n]), 2);
    return energy;
  };
  EXPECT_EQ(noise(0), 0);
  EXPECT_GT(noise(0.5), 0.01);
}

}  // namespace
}  // namespace conclave::bench::room
