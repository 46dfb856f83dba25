// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <vector>

#include "base/realtime.h"
#include "bench/room/render.h"
#include "bench/room/wav.h"

namespace conclave::bench::room {
namespace {

Scene short_scene(int rate = 16000) {
  Scene scene = synthetic_scene(rate);
  scene.talk_seconds = 10;
  return scene;
}

double level_db(std::span<const float> signal) {
  double sum = 0;
  for (const float x : signal) sum += static_cast<double>(x) * static_cast<double>(x);
  return 10 * std::log10(sum / static_cast<double>(signal.size()) + 1e-20);
}

std::ptrdiff_t first_above(std::span<const float> signal, float threshold) {
  return std::find_if(signal.begin(), signal.end(),
                      [&](float x) { return std::abs(x) > threshold; }) -
         signal.begin();
}

TEST(Room, the_loudspeaker_arrives_after_converters_and_air) {
  Scene scene = short_scene();
  scene.loudspeaker_drive = 0;
  scene.rt60 = 0;
  FrameBuffer far(1, 16000);
  far[0][1000] = 1.0F;
  const auto rendering = render(scene, 1, far, {.talkers = false, .noise = false});
  ASSERT_TRUE(rendering) << rendering.error().message;
  for (int m = 0; m < 8; ++m) {
    const auto row = rendering->microphones.view()[m];
    const auto peak = std::max_element(row.begin(), row.end(),
                                       [](float a, float b) { return std::abs(a) < std::abs(b); });
    const double d = distance(scene.loudspeaker, scene.ring[static_cast<std::size_t>(m)]);
    EXPECT_NEAR(static_cast<double>(peak - row.begin()), 1000 + 8 * 16 + d / 343 * 16000, 1.1) << m;
  }
}

TEST(Room, parts_add_up_and_renderings_repeat) {
  const Scene scene = short_scene();
  FrameBuffer far(1, 32000);
  for (std::size_t n = 0; n < far[0].size(); ++n)
    far[0][n] = 0.3F * static_cast<float>(std::sin(0.1 * static_cast<double>(n)));
  const auto all = render(scene, 2, far);
  const auto again = render(scene, 2, far);
  const auto echo = render(scene, 2, far, {.talkers = false, .noise = false});
  const auto near = render(scene, 2, far, {.loudspeaker = false, .noise = false});
  const auto noise = render(scene, 2, far, {.loudspeaker = false, .talkers = false});
  ASSERT_TRUE(all && again && echo && near && noise);
  for (int m = 0; m < 10; ++m) {
    for (std::size_t n = 0; n < 32000; ++n) {
      ASSERT_EQ(all->microphones[m][n], again->microphones[m][n]);
      ASSERT_NEAR(all->microphones[m][n],
                  echo->microphones[m][n] + near->microphones[m][n] + noise->microphones[m][n],
                  1e-5);
    }
  }
  EXPECT_GT(level_db(echo->microphones[0]), -50);
  EXPECT_NEAR(level_db(noise->microphones[0]), scene.fan_dbfs, 3);
  EXPECT_GT(level_db(near->microphones[0]), -60);
}

TEST(Room, microphones_hear_the_talker_in_order_of_distance) {
  Scene scene = short_scene(48000);
  scene.rt60 = 0;
  scene.talkers.resize(1);
  const auto near = render(scene, 2, {}, {.loudspeaker = false, .noise = false});
  ASSERT_TRUE(near) << near.error().message;
  const Point mouth = scene.talkers[0].position;
  std::vector<double> arrival;
  for (int m = 0; m < 8; ++m) {
    const auto row = near->microphones.view()[m];
    arrival.push_back(static_cast<double>(first_above(row, 0.002F)) -
                      distance(mouth, scene.ring[static_cast<std::size_t>(m)]) / 343 * 48000);
  }
  const auto [low, high] = std::minmax_element(arrival.begin(), arrival.end());
  EXPECT_LT(*high - *low, 2.0);
  // And late by the capture converters.
  const auto simulator = Simulator::create(scene);
  ASSERT_TRUE(simulator);
  const auto said = static_cast<double>(first_above((*simulator)->mouth(0), 0.002F));
  EXPECT_NEAR(arrival[0], said + scene.capture_delay_ms * 48, 6);
}

TEST(Room, truth_follows_the_talkers) {
  const Scene scene = short_scene();
  const auto near = render(scene, 10, {}, {.loudspeaker = false, .noise = false});
  ASSERT_TRUE(near);
  ASSERT_EQ(near->truth.size(), 1000U);
  double speech = 0;
  double pause = 0;
  int speech_frames = 0;
  int pause_frames = 0;
  for (std::size_t f = 30; f < near->truth.size(); ++f) {
    const auto frame = near->microphones.view()[0].subspan(f * 160, 160);
    const double power = std::pow(10, level_db(frame) / 10);
    const Truth& truth = near->truth[f];
    if (truth.talker >= 0) {
      EXPECT_NEAR(truth.azimuth_deg,
                  azimuth_deg(scene.talkers[static_cast<std::size_t>(truth.talker)].position),
                  1e-9);
      speech += power;
      ++speech_frames;
    } else if (near->truth[f - 25].talker < 0) {  // after the reverberation
      pause += power;
      ++pause_frames;
    }
  }
  ASSERT_GT(pause_frames, 10);
  EXPECT_GT(10 * std::log10(speech / speech_frames), 10 * std::log10(pause / pause_frames) + 25);
}

TEST(Room, a_talker_can_be_silenced_and_moved) {
  Scene scene = short_scene();
  auto simulator = Simulator::create(scene, {.loudspeaker = false, .noise = false});
  ASSERT_TRUE(simulator);
  const int block = (*simulator)->block_frames();
  FrameBuffer far(1, block);
  FrameBuffer out(10, block);
  const auto run = [&](double seconds) {
    double energy = 0;
    const realtime::Scope real_time;
    for (int b = 0; b < static_cast<int>(seconds * 16000 / block); ++b) {
      (*simulator)->process(far, out);
      for (const float x : out[0]) energy += static_cast<double>(x) * static_cast<double>(x);
    }
    return energy;
  };
  EXPECT_GT(run(3), 1e-3);
  (*simulator)->set_talker_on(0, false);
  (*simulator)->set_talker_on(1, false);
  run(1.0);
  EXPECT_EQ(run(0.5), 0);
  EXPECT_EQ((*simulator)->truth_at(16000).talker, -1);
  auto placement = (*simulator)->prepare_placement(0, {0, 1.5, 0.3});
  ASSERT_TRUE(placement) << placement.error().message;
  (*simulator)->place_talker(std::move(*placement));
  (*simulator)->set_talker_on(0, true);
  run(8);
  bool spoke = false;
  for (int f = 0; f < 1000; ++f) {
    const Truth truth = (*simulator)->truth_at(f * 160);
    if (truth.talker != 0) continue;
    spoke = true;
    EXPECT_NEAR(truth.azimuth_deg, 90, 1e-9);
  }
  EXPECT_TRUE(spoke);
  EXPECT_FALSE((*simulator)->prepare_placement(0, {0, 99, 0}));
  EXPECT_FALSE((*simulator)->prepare_placement(7, {0, 1, 0}));
}

TEST(Room, a_diffuse_fan_is_coherent_only_where_the_ring_is_small) {
  Scene scene = short_scene();
  scene.fan_at.reset();
  scene.fan_dbfs = -40;
  scene.sensor_noise_dbfs = -200;
  const auto noise = render(scene, 4, {}, {.loudspeaker = false, .talkers = false});
  ASSERT_TRUE(noise);
  EXPECT_NEAR(level_db(noise->microphones[0]), -40, 1);
  double ab = 0;
  double aa = 0;
  double bb = 0;
  double far_ab = 0;
  double far_aa = 0;
  double far_bb = 0;
  for (std::size_t n = 1; n < 64000; ++n) {
    const auto x = [&](int m) { return static_cast<double>(noise->microphones[m][n]); };
    // First differences: the high band, where a metre is long.
    const auto d = [&](int m) {
      return static_cast<double>(noise->microphones[m][n] - noise->microphones[m][n - 1]);
    };
    ab += x(0) * x(1);
    aa += x(0) * x(0);
    bb += x(1) * x(1);
    far_ab += d(0) * d(8);
    far_aa += d(0) * d(0);
    far_bb += d(8) * d(8);
  }
  EXPECT_GT(ab / std::sqrt(aa * bb), 0.9);
  EXPECT_LT(std::abs(far_ab) / std::sqrt(far_aa * far_bb), 0.15);
}

TEST(Room, satellites_come_on_their_own_clocks) {
  const Scene scene = short_scene();
  const auto rendering = render(scene, 10);
  ASSERT_TRUE(rendering);
  ASSERT_EQ(rendering->satellites.size(), 2U);
  EXPECT_NEAR(rendering->satellites[0].frames(), 160000 * (1 + 40e-6), 2);
  EXPECT_NEAR(rendering->satellites[1].frames(), 160000 * (1 - 25e-6), 2);
}

TEST(Room, a_rendering_is_written_and_read_back) {
  const auto folder = std::filesystem::temp_directory_path() / "conclave_room_render";
  std::filesystem::remove_all(folder);
  const Scene scene = short_scene();
  const auto rendering = render(scene, 1);
  ASSERT_TRUE(rendering);
  ASSERT_TRUE(write_rendering(*rendering, scene, folder.string()));
  int rate = 0;
  auto mics = read_wav((folder / "mics.wav").string(), rate);
  ASSERT_TRUE(mics) << mics.error().message;
  EXPECT_EQ(rate, 16000);
  EXPECT_EQ(mics->channels(), 10);
  EXPECT_EQ(mics->frames(), 16000);
  EXPECT_EQ((*mics)[3][5000], rendering->microphones[3][5000]);
  for (const char* name : {"far.wav", "truth.csv", "scene.json", "profile.json"})
    EXPECT_TRUE(std::filesystem::exists(folder / name)) << name;
  EXPECT_TRUE(load_scene((folder / "scene.json").string()));
  std::filesystem::remove_all(folder);
}

TEST(Room, impulse_responses_may_come_from_a_file) {
  const auto path = std::filesystem::temp_directory_path() / "conclave_room_ir.wav";
  FrameBuffer response(10, 64);
  for (int m = 0; m < 10; ++m) response[m][static_cast<std::size_t>(m)] = 0.5F;
  ASSERT_TRUE(write_wav(path.string(), response, 16000));
  Scene scene = short_scene();
  scene.loudspeaker_responses = path.string();
  scene.loudspeaker_drive = 0;
  FrameBuffer far(1, 8000);
  far[0][100] = 1;
  const auto echo = render(scene, 0.5, far, {.talkers = false, .noise = false});
  ASSERT_TRUE(echo) << echo.error().message;
  for (int m = 0; m < 10; ++m) {
    EXPECT_NEAR(echo->microphones[m][static_cast<std::size_t>(100 + 128 + m)], 0.5, 0.05) << m;
  }
  scene.loudspeaker_responses = "/nowhere.wav";
  EXPECT_FALSE(render(scene, 0.5));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace conclave::bench::room
