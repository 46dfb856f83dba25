// SPDX-License-Identifier: Apache-2.0
#include "engine/shadow.h"

#include <gtest/gtest.h>

#include <array>

#include "base/realtime.h"
#include "tests/engine/synthetic_capture.h"

namespace conclave::engine {
namespace {

constexpr int kRate = 16000;
constexpr int kHop = 160;
constexpr int kFrames = 5 * kRate;

/// Energy of what was sent minus the shadows' sum, against what was sent, dB.
double sum_error_db(const EngineConfig& config, const std::vector<const FrameBuffer*>& components,
                    const std::vector<float>& far, bool with_echo_removed) {
  realtime::flush_denormals();
  auto engine = std::move(*Engine::create(config));
  std::vector<std::unique_ptr<Shadow>> shadows;
  for (std::size_t k = 0; k < components.size() + 1; ++k) {
    shadows.push_back(std::move(*Shadow::create(*engine)));
  }
  const int mics = engine->microphones();
  FrameBuffer whole(mics, kHop), part(mics, kHop), far_in(1, kHop), playback(1, kHop),
      send(1, kHop), out(1, kHop);
  const std::array<bool, kMaxSatellites> synced{true, true, true, true};
  double error = 0, sent = 0;
  for (int at = 0; at + kHop <= kFrames; at += kHop) {
    whole.clear();
    for (const FrameBuffer* component : components) {
      for (int c = 0; c < mics; ++c) {
        for (int i = 0; i < kHop; ++i) {
          whole[c][static_cast<std::size_t>(i)] +=
              (*component)[c][static_cast<std::size_t>(at + i)];
        }
      }
    }
    for (int i = 0; i < kHop; ++i) {
      far_in[0][static_cast<std::size_t>(i)] = far[static_cast<std::size_t>(at + i)];
    }
    engine->process(whole, far_in, synced, playback, send);
    const auto decided = engine->decisions();
    std::vector<float> rest(send[0].begin(), send[0].end());
    const auto take = [&](Shadow& shadow) {
      shadow.process(decided, part, out);
      for (std::size_t i = 0; i < rest.size(); ++i) rest[i] -= out[0][i];
    };
    for (std::size_t k = 0; k < components.size(); ++k) {
      copy<float>(components[k]->view().columns(at, kHop), part.view());
      take(*shadows[k]);
    }
    if (with_echo_removed) {
      for (int c = 0; c < decided.echo_removed.channels(); ++c) {
        for (std::size_t i = 0; i < kHop; ++i) part[c][i] = -decided.echo_removed[c][i];
      }
      take(*shadows.back());
    }
    error += test::power(rest);
    sent += test::power(send[0]);
  }
  return 10.0 * std::log10(error / sent + 1e-30);
}

class ShadowSum : public testing::Test {
 protected:
  ShadowSum() {
    test::add_talker(geometry_, test::babble(kFrames, kRate, 0.05F, 2), 60, kRate, talker_);
    test::add_talker(geometry_, test::babble(kFrames, kRate, 0.03F, 3), 200, kRate, interferer_);
    const auto near_satellite = test::babble(kFrames, kRate, 0.06F, 2);
    std::ranges::copy(near_satellite, talker_[4].begin());
    test::add_noise(0.003F, 7, noise_);
  }
  dsp::Geometry geometry_ = test::ring(4, 0.05, 1);
  FrameBuffer talker_{5, kFrames}, interferer_{5, kFrames}, noise_{5, kFrames}, echo_{5, kFrames};
  std::vector<float> silence_ = std::vector<float>(kFrames, 0.0F);
};

TEST_F(ShadowSum, equals_what_was_sent_at_raw_gain) {
  const EngineConfig config{
      .sample_rate = kRate, .geometry = geometry_, .chain = Chain::kArray, .raw_gain = true};
  EXPECT_LT(sum_error_db(config, {&talker_, &interferer_, &noise_}, silence_, false), -100.0);
}

TEST_F(ShadowSum, holds_with_level_control_where_gains_can_be_read) {
  const EngineConfig config{.sample_rate = kRate, .geometry = geometry_, .chain = Chain::kArray};
  EXPECT_LT(sum_error_db(config, {&talker_, &interferer_, &noise_}, silence_, false), -80.0);
}

TEST_F(ShadowSum, holds_with_echo_control_when_the_removed_echo_is_counted) {
  const auto far = test::babble(kFrames, kRate, 0.1F, 1);
  test::add_echo(far, 320, 0.3F, kRate, echo_);
  EngineConfig config{.sample_rate = kRate,
                      .geometry = geometry_,
                      .reference = Reference::kFarEnd,
                      .raw_gain = true};
  config.params.comfort_noise = false;
  EXPECT_LT(sum_error_db(config, {&talker_, &echo_, &noise_}, far, true), -70.0);
}

}  // namespace
}  // namespace conclave::engine
