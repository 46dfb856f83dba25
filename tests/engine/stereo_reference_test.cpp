// SPDX-License-Identifier: Apache-2.0
// Echo control with two loudspeaker channels, each with its own way to the microphone.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/realtime.h"
#include "engine/engine.h"
#include "tests/engine/synthetic_capture.h"

namespace conclave::engine {
namespace {

constexpr int kRate = 16000;
constexpr int kHop = 160;
constexpr int kFrames = 10 * kRate;

std::size_t at(double seconds) { return static_cast<std::size_t>(seconds * kRate); }

/// Two talkers of the far end, panned: `width` 0 is the same on both sides, 1 one on each.
FrameBuffer panned(float width) {
  const auto one = test::babble(kFrames, kRate, 0.1F, 1);
  const auto two = test::babble(kFrames, kRate, 0.1F, 3);
  FrameBuffer far(2, kFrames);
  for (std::size_t n = 0; n < kFrames; ++n) {
    far[0][n] = one[n] + (1 - width) * two[n];
    far[1][n] = two[n] + (1 - width) * one[n];
  }
  return far;
}

class StereoReference : public testing::Test {
 protected:
  /// Both loudspeakers' echoes, after 20 and 27 ms and through different rooms.
  void listen(const FrameBuffer& far) {
    mic = FrameBuffer(1, kFrames);
    test::add_echo({far[0].begin(), far[0].end()}, 320, 0.5F, kRate, mic);
    std::vector<float> right(far[1].begin(), far[1].end());
    for (std::size_t n = right.size() - 1; n > 0; --n) right[n] -= 0.6F * right[n - 1];
    test::add_echo(right, 432, 0.5F, kRate, mic);
    test::add_noise(0.0003F, 5, mic);
  }
  /// What is sent with the first `references` channels of `far` as reference, latency taken off.
  void run(const FrameBuffer& far, int references) {
    EngineConfig config{.sample_rate = kRate,
                        .geometry = test::ring(1),
                        .chain = Chain::kEcho,
                        .reference = Reference::kFarEnd,
                        .references = references};
    auto made = Engine::create(config);
    ASSERT_TRUE(made) << made.error().message;
    engine = std::move(*made);
    realtime::flush_denormals();
    FrameBuffer in(1, kHop), played(references, kHop), reference(references, kHop), send(1, kHop);
    sent.clear();
    for (int n = 0; n + kHop <= kFrames; n += kHop) {
      copy<float>(mic.view().columns(n, kHop), in.view());
      copy<float>(far.view().rows(0, references).columns(n, kHop), reference.view());
      {
        const realtime::Scope scope;
        engine->process(in, reference, {}, played, send);
      }
      for (int i = 0; n > 0 && i < kHop; ++i) sent.push_back(send[0][static_cast<std::size_t>(i)]);
    }
  }
  double erle(double from, double to) const {
    const auto level = [&](std::span<const float> x) {
      return test::power_db({x.begin() + static_cast<std::ptrdiff_t>(at(from)),
                             x.begin() + static_cast<std::ptrdiff_t>(at(to))});
    };
    return level(mic[0]) - level(sent);
  }

  FrameBuffer mic;
  std::vector<float> sent;
  std::unique_ptr<Engine> engine;
};

TEST_F(StereoReference, two_loudspeakers_are_cancelled_by_two_references) {
  const auto far = panned(0.7F);
  listen(far);
  run(far, 2);
  EXPECT_GT(engine->metrics().linear_erle_db, 12.0F);
  EXPECT_GT(erle(4, 9.9), 28.0);
  const float both = engine->metrics().linear_erle_db;
  run(far, 1);
  EXPECT_LT(engine->metrics().linear_erle_db, both - 6);
}

TEST_F(StereoReference, the_same_sound_on_both_sides_does_no_harm) {
  const auto far = panned(0);
  listen(far);
  run(far, 2);
  EXPECT_GT(erle(4, 9.9), 28.0);
}

TEST_F(StereoReference, a_near_talker_is_kept) {
  const auto far = panned(0.7F);
  listen(far);
  FrameBuffer near(1, kFrames);
  std::ranges::copy(test::babble(kFrames, kRate, 0.1F, 2), near[0].begin());
  for (std::size_t n = at(5); n < kFrames; ++n) mic[0][n] += near[0][n];
  run(far, 2);
  double wanted = 0, both = 0, power = 0;
  for (std::size_t n = at(6); n < at(9.9); ++n) {
    wanted += static_cast<double>(near[0][n]) * near[0][n];
    both += static_cast<double>(near[0][n]) * sent[n];
    power += static_cast<double>(sent[n]) * sent[n];
  }
  EXPECT_GT(both / std::sqrt(wanted * power), 0.9);  // SI-SDR above 6 dB
}

TEST(StereoEngine, refuses_more_loudspeakers_than_it_can_take) {
  for (const int references : {0, kMaxReferences + 1}) {
    EXPECT_FALSE(Engine::create({.sample_rate = kRate,
                                 .geometry = test::ring(1),
                                 .chain = Chain::kEcho,
                                 .references = references}));
  }
}

}  // namespace
}  // namespace conclave::engine
