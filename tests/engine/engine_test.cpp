// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "base/realtime.h"
#include "tests/engine/synthetic_capture.h"

namespace conclave::engine {
namespace {

using test::power_db;

constexpr int kRate = 16000;
constexpr int kHop = 160;
constexpr int kSeconds = 6;
constexpr std::size_t kFrames = static_cast<std::size_t>(kSeconds) * kRate;

std::unique_ptr<Engine> make(const EngineConfig& config) {
  auto engine = Engine::create(config);
  EXPECT_TRUE(engine) << engine.error().message;
  return std::move(*engine);
}

struct Run {
  std::vector<float> sent;
  std::vector<float> played;
};

// The guard aborts the test when process() allocates, locks or logs.
Run run(Engine& engine, ConstFrameView capture, const std::vector<float>& far,
        bool satellites_synced = true) {
  realtime::flush_denormals();
  const int hop = engine.hop();
  Run result;
  FrameBuffer in(engine.microphones(), hop), far_in(1, hop), playback(1, hop), send(1, hop);
  std::array<bool, kMaxSatellites> synced{};
  synced.fill(satellites_synced);
  for (int at = 0; at + hop <= capture.frames(); at += hop) {
    copy<float>(capture.columns(at, hop), in.view());
    for (int i = 0; i < hop; ++i) {
      const auto n = static_cast<std::size_t>(at + i);
      far_in[0][static_cast<std::size_t>(i)] = n < far.size() ? far[n] : 0.0F;
    }
    {
      const realtime::Scope scope;
      engine.process(in, far_in, synced, playback, send);
    }
    result.sent.insert(result.sent.end(), send[0].begin(), send[0].end());
    result.played.insert(result.played.end(), playback[0].begin(), playback[0].end());
  }
  return result;
}

std::span<const float> seconds(const std::vector<float>& x, double from, double to,
                               int rate = kRate) {
  return std::span(x).subspan(static_cast<std::size_t>(from * rate),
                              static_cast<std::size_t>((to - from) * rate));
}

TEST(Engine, refuses_what_cannot_work) {
  EngineConfig config{.sample_rate = 44100, .geometry = test::ring(4)};
  auto engine = Engine::create(config);
  ASSERT_FALSE(engine);
  EXPECT_THAT(engine.error().message, testing::HasSubstr("44100"));
  config.sample_rate = 16000;
  config.geometry = {};
  EXPECT_FALSE(Engine::create(config));
  config.geometry = test::ring(15, 0.05, 2);
  EXPECT_FALSE(Engine::create(config));
  config.geometry = test::ring(4);
  config.taps = {"nowhere"};
  EXPECT_FALSE(Engine::create(config));
}

TEST(Engine, one_microphone_passes_through_the_array_chain_untouched) {
  EngineConfig config{
      .sample_rate = kRate, .geometry = test::ring(1), .chain = Chain::kArray, .raw_gain = true};
  config.params.noise_suppression = false;
  const auto engine = make(config);
  FrameBuffer capture(1, kRate);
  test::add_noise(0.1F, 9, capture);
  const auto sent = run(*engine, capture, {}).sent;
  const int latency = engine->latency_frames();
  EXPECT_EQ(latency, kHop);
  // The suppressor's gain ramps from its start to 1 within the first blocks.
  for (std::size_t n = 4000; n < sent.size(); ++n) {
    ASSERT_NEAR(sent[n], capture[0][n - static_cast<std::size_t>(latency)], 2e-5F) << n;
  }
}

TEST(Engine, two_runs_are_bit_identical_and_reset_is_a_new_start) {
  FrameBuffer capture(6, static_cast<int>(kFrames));
  const auto geometry = test::ring(4, 0.05, 2);
  const auto far = test::babble(kFrames, kRate, 0.1F, 1);
  test::add_talker(geometry, test::babble(kFrames, kRate, 0.05F, 2), 60, kRate, capture);
  test::add_echo(far, 300, 0.4F, kRate, capture);
  test::add_noise(0.001F, 7, capture);
  const EngineConfig config{.sample_rate = kRate, .geometry = geometry};
  const auto one = make(config);
  const auto two = make(config);
  const auto first = run(*one, capture, far);
  const auto second = run(*two, capture, far);
  EXPECT_EQ(first.sent, second.sent);
  EXPECT_EQ(first.played, second.played);
  two->reset();
  EXPECT_EQ(run(*two, capture, far).sent, first.sent);
}

TEST(Engine, the_ring_finds_the_talker_and_lowers_noise_from_elsewhere) {
  for (const double azimuth : {30.0, 200.0}) {
    const auto geometry = test::ring(8, 0.09);
    FrameBuffer talker(8, static_cast<int>(kFrames));
    FrameBuffer noise(8, static_cast<int>(kFrames));
    test::add_talker(geometry, test::babble(kFrames, kRate, 0.05F, 2), azimuth, kRate, talker);
    test::add_noise(0.002F, 7, noise);
    test::add_talker(geometry, test::white(kFrames, 0.008F, 12), azimuth + 130, kRate, noise);
    FrameBuffer both(8, static_cast<int>(kFrames));
    for (int c = 0; c < 8; ++c) {
      for (std::size_t i = 0; i < kFrames; ++i) both[c][i] = talker[c][i] + noise[c][i];
    }
    EngineConfig config{
        .sample_rate = kRate, .geometry = geometry, .chain = Chain::kArray, .raw_gain = true};
    config.params.noise_suppression = false;
    const auto engine = make(config);
    run(*engine, both, {});
    const float off = std::abs(
        std::remainder(engine->metrics().azimuth_deg - static_cast<float>(azimuth), 360.0F));
    EXPECT_LT(off, 8.0F) << engine->metrics().azimuth_deg;
    EXPECT_GT(engine->metrics().tracks[0].id, 0);
  }
}

class EchoControl : public testing::TestWithParam<Chain> {};

TEST_P(EchoControl, removes_echo_and_keeps_the_near_talker) {
  const auto geometry = test::ring(GetParam() == Chain::kEcho ? 1 : 4);
  const int mics = static_cast<int>(geometry.ring.size());
  const auto far = test::babble(2 * kFrames, kRate, 0.1F, 1);
  FrameBuffer capture(mics, static_cast<int>(2 * kFrames));
  FrameBuffer echo_only(mics, static_cast<int>(2 * kFrames));
  test::add_echo(far, 320, 0.5F, kRate, echo_only);
  test::add_noise(0.0003F, 5, echo_only);
  copy<float>(std::as_const(echo_only).view(), capture.view());
  // Near speech alone in the last third: the far end rests there.
  auto far_part = far;
  std::fill(far_part.begin() + static_cast<std::ptrdiff_t>(8 * kRate), far_part.end(), 0.0F);
  capture.clear();
  test::add_echo(far_part, 320, 0.5F, kRate, capture);
  test::add_noise(0.0003F, 5, capture);
  auto near = test::babble(2 * kFrames, kRate, 0.05F, 2);
  std::fill(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(9 * kRate), 0.0F);
  test::add_talker(geometry, near, 90, kRate, capture);

  EngineConfig config{.sample_rate = kRate,
                      .geometry = geometry,
                      .chain = GetParam(),
                      .reference = Reference::kFarEnd,
                      .raw_gain = true};
  config.params.noise_suppression = false;
  const auto engine = make(config);
  const auto sent = run(*engine, capture, far_part).sent;
  std::vector<float> mic(capture[0].begin(), capture[0].end());
  const double erle = power_db(seconds(mic, 5, 8)) - power_db(seconds(sent, 5, 8));
  EXPECT_GT(erle, 25.0);
  const double near_change = power_db(seconds(sent, 9.5, 12)) - power_db(seconds(mic, 9.5, 12));
  EXPECT_NEAR(near_change, 0.0, 1.5);
}
INSTANTIATE_TEST_SUITE_P(Chains, EchoControl, testing::Values(Chain::kEcho, Chain::kFull));

TEST(Engine, metrics_tell_what_happens) {
  const auto geometry = test::ring(4);
  const auto far = test::babble(kFrames, kRate, 0.1F, 1);
  FrameBuffer capture(4, static_cast<int>(kFrames));
  test::add_echo(far, 320, 0.5F, kRate, capture);
  test::add_noise(0.0003F, 5, capture);
  const auto engine = make({.sample_rate = kRate, .geometry = geometry});
  run(*engine, capture, far);
  const auto& m = engine->metrics();
  EXPECT_EQ(m.mic_count, 4);
  EXPECT_EQ(m.blocks, static_cast<std::uint64_t>(kSeconds) * 100);
  EXPECT_GT(m.erle_db, 15.0F);
  EXPECT_LT(m.residual_echo_db, -45.0F);
  EXPECT_NEAR(m.aec_delay_ms, 20.0F, 4.0F);
  EXPECT_GT(m.mic_peak_db[0], m.mic_rms_db[0]);
  EXPECT_GT(m.speaker_peak_db, -30.0F);
}

// The largest difference of neighbouring samples of a slow sine tells clicks: a step of the gain
// would be a step of the signal.
float largest_step(std::span<const float> x) {
  float largest = 0.0F;
  for (std::size_t i = 1; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - x[i - 1]));
  return largest;
}

TEST(EngineParams, changes_ramp_and_nothing_clicks) {
  EngineConfig config{.sample_rate = kRate, .geometry = test::ring(1), .chain = Chain::kArray};
  config.params.noise_suppression = false;
  config.params.agc = false;
  const auto engine = make(config);
  std::vector<float> sine(kRate);
  for (std::size_t n = 0; n < sine.size(); ++n) {
    sine[n] =
        0.5F * std::sin(2.0F * static_cast<float>(M_PI) * 100.0F * static_cast<float>(n) / kRate);
  }
  const ConstFrameView view(sine.data(), 1, kRate);
  run(*engine, view, sine);
  const float quiet_step = largest_step(run(*engine, view, sine).sent);
  EngineParams params = config.params;
  for (int i = 0; i < 6; ++i) {
    params.muted = i % 2 == 0;
    params.speaker_gain_db = i % 2 == 0 ? -30.0F : 3.0F;
    engine->set_params(params);
    const auto out = run(*engine, view.columns(0, 3200), sine);
    EXPECT_LT(largest_step(out.sent), 1.2F * quiet_step + 0.5F / kHop);
    EXPECT_LT(largest_step(out.played), 1.5F * quiet_step + 0.7F / kHop);
    if (params.muted) {
      EXPECT_EQ(power_db(std::span(out.sent).subspan(kHop)), -200.0) << "silent after 10 ms";
      EXPECT_TRUE(engine->metrics().muted);
    } else {
      EXPECT_GT(power_db(std::span(out.sent).subspan(kHop)), -12.0);
    }
  }
}

TEST(EngineParams, absurd_values_do_no_harm) {
  const auto engine = make({.sample_rate = kRate, .geometry = test::ring(2)});
  EngineParams params;
  params.speaker_gain_db = std::numeric_limits<float>::quiet_NaN();
  params.noise_reduction_db = -1e9F;
  params.agc_target_dbfs = 1e9F;
  params.fixed_azimuth_deg = std::numeric_limits<float>::infinity();
  params.steering = false;
  engine->set_params(params);
  FrameBuffer capture(2, kRate);
  test::add_noise(0.1F, 3, capture);
  for (const float v : run(*engine, capture, test::white(kRate, 0.1F, 4)).sent) {
    ASSERT_TRUE(std::isfinite(v));
  }
}

TEST(Engine, the_loudspeaker_never_clips) {
  const auto engine = make({.sample_rate = kRate, .geometry = test::ring(1)});
  EngineParams params;
  params.speaker_gain_db = 12.0F;
  engine->set_params(params);
  FrameBuffer capture(1, kRate);
  for (const float v : run(*engine, capture, test::white(kRate, 0.5F, 4)).played) {
    ASSERT_LE(std::abs(v), 0.8914F);
  }
}

TEST(Engine, samples_that_are_not_numbers_do_not_stay) {
  for (const auto chain : {Chain::kFull, Chain::kEcho, Chain::kArray}) {
    const auto geometry = test::ring(4, 0.05, 1);
    const auto engine = make({.sample_rate = kRate, .geometry = geometry, .chain = chain});
    FrameBuffer capture(5, 2 * kRate);
    auto far = test::babble(2 * kRate, kRate, 0.1F, 1);
    test::add_noise(0.02F, 3, capture);
    capture[0][5000] = std::numeric_limits<float>::quiet_NaN();
    capture[4][6000] = std::numeric_limits<float>::infinity();
    far[7000] = std::numeric_limits<float>::quiet_NaN();
    const auto result = run(*engine, capture, far);
    for (std::size_t n = 7000 + 4 * kHop; n < result.sent.size(); ++n) {
      ASSERT_TRUE(std::isfinite(result.sent[n])) << n << " chain " << static_cast<int>(chain);
      ASSERT_TRUE(std::isfinite(result.played[n])) << n;
    }
    EXPECT_GT(power_db(seconds(result.sent, 1.5, 2.0)), -120.0);
    EXPECT_TRUE(std::isfinite(engine->metrics().erle_db));
  }
}

TEST(Engine, satellites_that_are_not_synced_are_not_heard) {
  const auto geometry = test::ring(4, 0.05, 1);
  FrameBuffer capture(5, static_cast<int>(kFrames));
  const auto loud = test::babble(kFrames, kRate, 0.1F, 8);
  std::ranges::copy(loud, capture[4].begin());
  test::add_noise(0.001F, 3, capture);
  EngineConfig config{
      .sample_rate = kRate, .geometry = geometry, .chain = Chain::kArray, .raw_gain = true};
  const auto without = make(config);
  const auto alone = run(*without, capture, {}, false).sent;
  EXPECT_LT(power_db(seconds(alone, 1, 6)), -55.0);
  const auto with = make(config);
  const auto heard = run(*with, capture, {}, true).sent;
  EXPECT_GT(power_db(seconds(heard, 1, 6)), power_db(seconds(alone, 1, 6)) + 10.0);
  EXPECT_GT(with->metrics().satellites[0].gain_db, -6.0F);
  EXPECT_EQ(without->metrics().satellites[0].gain_db, kSilenceDb);
}

TEST(Engine, a_recorded_satellite_with_a_foreign_clock_is_not_mixed_in) {
  const auto geometry = test::ring(4, 0.05, 1);
  constexpr std::size_t kLong = 12 * kRate;
  const auto talk = test::babble(kLong, kRate, 0.05F, 8);
  for (const double ppm : {0.0, 100.0}) {
    FrameBuffer capture(5, static_cast<int>(kLong));
    test::add_talker(geometry, talk, 60, kRate, capture);
    // The noisy ring would lose against the clean satellite.
    test::add_noise(0.02F, 3, capture.view().rows(0, 4));
    for (std::size_t n = 500; n < kLong; ++n) {
      const double at = static_cast<double>(n) / (1.0 + ppm * 1e-6) - 400.0;
      const auto whole = static_cast<std::size_t>(at);
      const auto part = static_cast<float>(at - static_cast<double>(whole));
      capture[4][n] = 2.0F * ((1.0F - part) * talk[whole] + part * talk[whole + 1]);
    }
    const auto engine = make({.sample_rate = kRate,
                              .geometry = geometry,
                              .chain = Chain::kArray,
                              .satellite_clock = SatelliteClock::kRecording});
    run(*engine, capture, {});
    const auto& satellite = engine->metrics().satellites[0];
    EXPECT_NEAR(satellite.ppm, ppm, 5.0);
    EXPECT_EQ(satellite.synced, ppm == 0.0);
    EXPECT_EQ(satellite.gain_db > -20.0F, ppm == 0.0) << satellite.gain_db;
  }
}

TEST(Engine, taps_show_the_inner_signals) {
  EngineConfig config{.sample_rate = kRate, .geometry = test::ring(4), .raw_gain = true};
  config.taps = {"mic2", "aec0", "far", "beam", "post_ns", "sent"};
  config.tap_frames = 1024;
  const auto engine = make(config);
  FrameBuffer capture(4, kRate);
  test::add_noise(0.05F, 3, capture);
  const auto far = test::white(kRate, 0.1F, 4);
  const auto sent = run(*engine, capture, far).sent;
  auto& taps = engine->taps();
  const auto signal = [&](int tap) {
    std::vector<float> all;
    AudioFrame frame;
    while (taps.read(tap, frame)) {
      all.insert(all.end(), frame.data.begin(), frame.data.begin() + frame.samples);
    }
    return all;
  };
  EXPECT_EQ(signal(0), std::vector<float>(capture[2].begin(), capture[2].end()));
  EXPECT_EQ(signal(1).size(), sent.size());
  EXPECT_EQ(signal(2), far);
  EXPECT_EQ(signal(3).size(), sent.size());
  EXPECT_EQ(signal(4), sent) << "raw gain: nothing follows the noise suppressor";
  EXPECT_EQ(signal(5), sent);
}

}  // namespace
}  // namespace conclave::engine
