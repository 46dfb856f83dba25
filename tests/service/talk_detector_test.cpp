// SPDX-License-Identifier: Apache-2.0
#include "service/focus/talk_detector.h"

#include <gtest/gtest.h>
#include <opus/opus.h>

#include <cmath>
#include <numbers>
#include <random>
#include <vector>

namespace conclave::service {
namespace {

struct Line {
  OpusEncoder* encoder;
  std::mt19937 random{5};
  TalkDetector detector;
  int n = 0;
  Line() {
    int error = 0;
    encoder = opus_encoder_create(48000, 1, OPUS_APPLICATION_VOIP, &error);
  }
  ~Line() { opus_encoder_destroy(encoder); }
  /// Noise plus a tone of 300 Hz; true when talking at the end.
  bool feed(int ms, float noise, float tone) {
    std::normal_distribution<float> gauss(0, noise);
    for (int i = 0; i < ms / 10; ++i) {
      std::vector<float> sound(480);
      for (auto& s : sound) {
        s = gauss(random) +
            tone * static_cast<float>(std::sin(2 * std::numbers::pi * 300 * n++ / 48000.0));
      }
      std::vector<std::uint8_t> packet(1276);
      const int size = opus_encode_float(encoder, sound.data(), 480, packet.data(), 1276);
      packet.resize(static_cast<std::size_t>(size));
      detector.packet(packet);
    }
    return detector.talking();
  }
};

TEST(TalkDetector, follows_sound_over_noise) {
  Line line;
  EXPECT_FALSE(line.feed(1000, 0.002f, 0));
  EXPECT_TRUE(line.feed(150, 0.002f, 0.1f));
  EXPECT_TRUE(line.feed(400, 0.002f, 0));  // a pause between words
  EXPECT_FALSE(line.feed(600, 0.002f, 0));
}

TEST(TalkDetector, steady_noise_is_no_talk) {
  Line line;
  line.feed(3000, 0.01f, 0);
  EXPECT_FALSE(line.feed(1000, 0.01f, 0));
}

TEST(TalkDetector, ends_when_packets_stop) {
  Line line;
  line.feed(300, 0.001f, 0);
  EXPECT_TRUE(line.feed(200, 0.001f, 0.1f));
  EXPECT_FALSE(line.detector.quiet(300));
  EXPECT_TRUE(line.detector.quiet(500));  // changed
  EXPECT_FALSE(line.detector.talking());
}

TEST(TalkDetector, garbage_is_harmless) {
  TalkDetector detector;
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::uint8_t> packet(random() % 60);
    for (auto& b : packet) b = static_cast<std::uint8_t>(random());
    detector.packet(packet);
  }
  EXPECT_FALSE(detector.packet({}));
}

}  // namespace
}  // namespace conclave::service
