// SPDX-License-Identifier: Apache-2.0
#include "engine/audio_thread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "base/realtime.h"
#include "drivers/file/audio_file.h"
#include "drivers/file/file_device.h"
#include "engine/satellite_inputs.h"
#include "tests/engine/fake_device.h"
#include "tests/engine/synthetic_capture.h"

namespace conclave::engine {
namespace {

using drivers::IoStatus;
using test::FakeDevice;
using Kind = EngineEvent::Kind;

constexpr int kRate = 16000;
constexpr int kHop = 160;

class AudioThreadTest : public testing::Test {
 protected:
  drivers::AudioFormat format(int channels) const {
    return {.sample_rate = kRate,
            .capture_channels = channels,
            .playback_channels = 1,
            .period_frames = kHop};
  }
  AudioThreadConfig config(int ring, int satellites = 0) const {
    AudioThreadConfig c;
    c.engine.geometry = test::ring(ring, 0.05, satellites);
    c.recorder_seconds = 1.0;
    return c;
  }
  std::unique_ptr<AudioThread> make(FakeDevice::Script script, const AudioThreadConfig& c,
                                    std::vector<std::unique_ptr<drivers::AudioDevice>> sats = {}) {
    const int ring = static_cast<int>(c.engine.geometry.ring.size());
    auto thread =
        AudioThread::create(c, std::make_unique<FakeDevice>(format(ring), std::move(script), seen_),
                            std::move(sats), &uplink_, &downlink_);
    EXPECT_TRUE(thread) << thread.error().message;
    return std::move(*thread);
  }
  /// Runs until the device's end and collects what happened.
  void finish(AudioThread& thread) {
    ASSERT_TRUE(thread.start());
    while (!thread.finished()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    thread.stop();
    EngineEvent event;
    while (thread.poll_event(event)) kinds_.push_back(event.kind);
    AudioFrame frame;
    while (uplink_.try_pop(frame)) sent_.push_back(frame);
    metrics_ = thread.read_metrics();
  }
  static std::function<IoStatus(int)> ends_after(
      int blocks, const std::function<IoStatus(int)>& before = [](int) { return IoStatus::kOk; }) {
    return [=](int n) { return n < blocks ? before(n) : IoStatus::kEnd; };
  }

  FakeDevice::Seen seen_;
  AudioFrameRing uplink_{4096};
  AudioFrameRing downlink_{4096};
  std::vector<Kind> kinds_;
  std::vector<AudioFrame> sent_;
  EngineMetrics metrics_;
};

TEST_F(AudioThreadTest, carries_every_block_from_device_to_device_and_queue) {
  const auto thread = make({.on_read = ends_after(100)}, config(2));
  for (int i = 0; i < 60; ++i) {
    AudioFrame frame;
    frame.samples = kHop;
    frame.data.fill(0.125F);
    downlink_.try_push(frame);
  }
  finish(*thread);
  EXPECT_EQ(seen_.writes, 100);
  EXPECT_EQ(seen_.stops, 1);
  ASSERT_EQ(sent_.size(), 100u);
  for (std::size_t i = 0; i < sent_.size(); ++i) {
    EXPECT_EQ(sent_[i].index, i);
    EXPECT_EQ(sent_[i].samples, kHop);
    EXPECT_EQ(sent_[i].flags, 0);
  }
  // A frame's time is when its last sample was heard: the chain's latency before the block's.
  EXPECT_EQ(sent_[9].time_ns, 100'000'000LL - thread->latency_frames() * 1'000'000'000LL / kRate);
  EXPECT_EQ(metrics_.blocks, 100u);
  EXPECT_EQ(metrics_.downlink_underruns, 40u);
  EXPECT_EQ(metrics_.device_state, DeviceState::kStopped);
  EXPECT_GT(metrics_.cpu.p50_us, 0.0F);
  EXPECT_GE(metrics_.cpu.max_us, metrics_.cpu.p50_us);
  EXPECT_THAT(kinds_, testing::Contains(Kind::kStarted));
  EXPECT_THAT(kinds_, testing::Contains(Kind::kEnded));
  EXPECT_EQ(seen_.last_played, 0.0F) << "an empty queue plays silence";
}

TEST_F(AudioThreadTest, counts_frames_that_media_did_not_take) {
  AudioFrameRing small(8);
  auto thread = std::move(*AudioThread::create(
      config(1),
      std::make_unique<FakeDevice>(format(1), FakeDevice::Script{.on_read = ends_after(50)}, seen_),
      {}, &small, nullptr));
  finish(*thread);
  EXPECT_EQ(metrics_.uplink_overruns, 42u);
  EXPECT_EQ(metrics_.downlink_underruns, 0u) << "no queue, nothing missing";
}

TEST_F(AudioThreadTest, without_a_call_nothing_is_missing_in_the_queues) {
  AudioFrameRing small(8);
  auto quiet = config(1);
  quiet.engine.params.in_call = false;
  auto thread = std::move(*AudioThread::create(
      quiet,
      std::make_unique<FakeDevice>(format(1), FakeDevice::Script{.on_read = ends_after(50)}, seen_),
      {}, &small, &downlink_));
  finish(*thread);
  EXPECT_EQ(metrics_.uplink_overruns, 0u);
  EXPECT_EQ(metrics_.downlink_underruns, 0u);
}

TEST_F(AudioThreadTest, recovers_from_an_xrun) {
  const auto thread = make(
      {.on_read = ends_after(60, [](int n) { return n == 20 ? IoStatus::kXrun : IoStatus::kOk; }),
       .on_write = [](int n) { return n == 40 ? IoStatus::kXrun : IoStatus::kOk; }},
      config(2));
  finish(*thread);
  EXPECT_EQ(metrics_.xruns, 2u);
  EXPECT_EQ(metrics_.unplugs, 0u);
  EXPECT_EQ(seen_.recovers, 2);
  EXPECT_EQ(std::ranges::count(kinds_, Kind::kRecovered), 2);
  EXPECT_GE(sent_.size(), 59u) << "the far end misses no frame";
  for (std::size_t i = 0; i < sent_.size(); ++i) EXPECT_EQ(sent_[i].index, i);
}

TEST_F(AudioThreadTest, sends_silence_at_pace_while_unplugged_and_comes_back) {
  const auto thread =
      make({.on_read = ends_after(
                30, [](int n) { return n == 10 ? IoStatus::kUnplugged : IoStatus::kOk; }),
            .gone = 15},
           config(2));
  const auto begin = std::chrono::steady_clock::now();
  finish(*thread);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(metrics_.unplugs, 1u);
  EXPECT_EQ(std::ranges::count(kinds_, Kind::kUnplugged), 1);
  EXPECT_EQ(std::ranges::count(kinds_, Kind::kRecovered), 1);
  const auto silent = std::ranges::count_if(
      sent_, [](const AudioFrame& f) { return (f.flags & kAudioFrameSilence) != 0; });
  EXPECT_EQ(silent, 16) << "the failed read's block and 15 tries";
  EXPECT_GE(took, std::chrono::milliseconds(130)) << "paced at 10 ms without a device";
  for (const auto& frame : sent_) {
    if ((frame.flags & kAudioFrameSilence) != 0) {
      EXPECT_EQ(test::power({frame.data.data(), kHop}), 0.0);
    }
  }
}

TEST_F(AudioThreadTest, survives_a_satellite_that_comes_and_goes) {
  FakeDevice::Seen sat_seen;
  std::vector<std::unique_ptr<drivers::AudioDevice>> sats;
  sats.push_back(std::make_unique<FakeDevice>(
      format(1),
      FakeDevice::Script{.available = [](int n) { return n == 100 ? -1 : kHop; }, .gone = 20},
      sat_seen));
  const auto thread = make({.on_read = ends_after(400)}, config(2, 1), std::move(sats));
  finish(*thread);
  EXPECT_EQ(std::ranges::count(kinds_, Kind::kSatelliteLost), 1);
  EXPECT_EQ(std::ranges::count(kinds_, Kind::kSatelliteBack), 1);
  EXPECT_EQ(sat_seen.recovers, 21);
  EXPECT_EQ(metrics_.xruns, 0u) << "the ring goes on";
  EXPECT_TRUE(metrics_.satellites[0].present);
  EXPECT_EQ(metrics_.blocks, 400u);
}

TEST_F(AudioThreadTest, starts_without_a_satellite_but_not_without_the_ring) {
  FakeDevice::Seen sat_seen;
  std::vector<std::unique_ptr<drivers::AudioDevice>> sats;
  sats.push_back(std::make_unique<FakeDevice>(
      format(1), FakeDevice::Script{.gone = 1000, .start_fails = true}, sat_seen));
  const auto thread = make({.on_read = ends_after(20)}, config(2, 1), std::move(sats));
  finish(*thread);
  EXPECT_EQ(metrics_.blocks, 20u);
  EXPECT_FALSE(metrics_.satellites[0].present);
  // What the satellites' start takes would be missing in the loudspeaker's queue.
  EXPECT_GT(seen_.started_as.load(), sat_seen.started_as.load());

  const auto broken = make({.start_fails = true}, config(2));
  const auto started = broken->start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message, testing::HasSubstr("does not start"));
}

TEST_F(AudioThreadTest, refuses_a_profile_that_does_not_fit) {
  const auto wrong = AudioThread::create(
      config(4), std::make_unique<FakeDevice>(format(3), FakeDevice::Script{}, seen_), {}, nullptr,
      nullptr);
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, testing::HasSubstr("3 channels"));
  std::vector<std::unique_ptr<drivers::AudioDevice>> sats;
  sats.push_back(std::make_unique<FakeDevice>(format(1), FakeDevice::Script{}, seen_));
  EXPECT_FALSE(AudioThread::create(
      config(3), std::make_unique<FakeDevice>(format(3), FakeDevice::Script{}, seen_),
      std::move(sats), nullptr, nullptr));
}

TEST_F(AudioThreadTest, stops_when_asked_and_takes_parameters) {
  const auto thread = make({}, config(1));
  ASSERT_TRUE(thread->start());
  EXPECT_FALSE(thread->start()) << "twice is wrong use";
  EngineParams params;
  params.muted = true;
  thread->set_params(params);
  for (int i = 0; i < 2000 && !thread->read_metrics().muted; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    AudioFrame frame;
    while (uplink_.try_pop(frame)) {
    }
  }
  EXPECT_TRUE(thread->read_metrics().muted);
  thread->stop();
  thread->stop();
  EXPECT_TRUE(thread->finished());
  EXPECT_FALSE(thread->copy_recording(1.0).raw.empty());
}

// What a phone would have done with the samples of a recording, against the engine called directly.
TEST_F(AudioThreadTest, on_a_file_is_bit_identical_with_the_engine) {
  constexpr int kSeconds = 3;
  const auto geometry = test::ring(4, 0.05, 1);
  FrameBuffer capture(5, kSeconds * kRate);
  test::add_talker(geometry, test::babble(kSeconds * kRate, kRate, 0.05F, 2), 60, kRate, capture);
  test::add_noise(0.002F, 3, capture);
  std::ranges::copy(test::babble(kSeconds * kRate, kRate, 0.05F, 2), capture[4].begin());
  const auto path = testing::TempDir() + "audio_thread_test.wav";
  auto writer = std::move(*drivers::AudioFileWriter::create(path, 5, kRate));
  ASSERT_TRUE(writer->write(capture));
  ASSERT_TRUE(writer->finish());

  auto device =
      std::move(*drivers::FileDevice::create({.capture_path = path, .playback_channels = 1}));
  auto c = config(4, 1);
  auto thread = std::move(*AudioThread::create(c, std::move(device), {}, &uplink_, nullptr));
  finish(*thread);
  ASSERT_EQ(sent_.size(), kSeconds * 100u);

  realtime::flush_denormals();
  c.engine.sample_rate = kRate;
  c.engine.satellite_clock = SatelliteClock::kRecording;
  auto engine = std::move(*Engine::create(c.engine));
  auto inputs = std::move(*SatelliteInputs::create(kRate, kHop, 1));
  FrameBuffer in(5, kHop), far(1, kHop), playback(1, kHop), send(1, kHop);
  for (std::size_t b = 0; b < sent_.size(); ++b) {
    copy<float>(std::as_const(capture).view().columns(static_cast<int>(b) * kHop, kHop), in.view());
    inputs->push(0, in.view().rows(4, 1));
    inputs->pull(in.view().rows(4, 1));
    engine->process(in, far, inputs->synced(), playback, send);
    ASSERT_TRUE(std::equal(send[0].begin(), send[0].end(), sent_[b].data.begin())) << b;
  }
  const auto recording = thread->copy_recording(1.0);
  EXPECT_EQ(recording.raw.size(), static_cast<std::size_t>(kRate));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace conclave::engine
