// SPDX-License-Identifier: Apache-2.0
// The phone's real ALSA code, alsa-lib, the plugin, and a room in another process.
#include <alsa/asoundlib.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/realtime.h"
#include "drivers/alsa/alsa_stream.h"
#include "tests/drivers/room/room_process.h"

namespace conclave::drivers {
namespace {

using testing::HasSubstr;

/// White noise that needs no seed bookkeeping.
float noise(std::uint32_t n) {
  n = (n ^ 61U) ^ (n >> 16U);
  n *= 9U;
  n ^= n >> 4U;
  n *= 0x27d4eb2dU;
  n ^= n >> 15U;
  return static_cast<float>(n) * 0x1p-31F - 1.0F;
}

/// Lag of the strongest correlation of `heard` with `played`, 0 .. most.
int best_lag(const std::vector<float>& played, const std::vector<float>& heard, int most) {
  int best = -1;
  double highest = 0;
  const int from = 4800;
  const int count = static_cast<int>(std::min(played.size(), heard.size())) - most - from;
  for (int lag = 0; lag < most; ++lag) {
    double sum = 0;
    for (int n = from; n < from + count; ++n) {
      sum += static_cast<double>(played[static_cast<std::size_t>(n)]) *
             static_cast<double>(heard[static_cast<std::size_t>(n + lag)]);
    }
    if (std::abs(sum) > highest) {
      highest = std::abs(sum);
      best = lag;
    }
  }
  return best;
}

TEST(RoomCard, the_loudspeaker_is_heard_with_the_delay_that_the_design_has) {
  RoomProcess room(true);
  ASSERT_TRUE(room.start());
  for (const int periods : {2, 3}) {
    auto device = AlsaDevice::create(ring_config(periods));
    ASSERT_TRUE(device) << device.error().message;
    ASSERT_TRUE((*device)->start());
    FrameBuffer in(8, 480);
    FrameBuffer out(1, 480);
    std::vector<float> played;
    std::vector<float> heard;
    IoInfo info;
    std::vector<int> delays;
    for (int hop = 0; hop < 60; ++hop) {
      ASSERT_EQ(patient_read(**device, in, info), IoStatus::kOk) << hop;
      delays.push_back(info.delay_frames);
      heard.insert(heard.end(), in[0].begin(), in[0].end());
      for (float& x : out[0]) {
        x = 0.5F * noise(static_cast<std::uint32_t>(played.size()));
        played.push_back(x);
      }
      ASSERT_EQ(patient_write(**device, out), IoStatus::kOk) << hop;
    }
    // Queue, converters (4 + 4 ms), and 11 cm of air.
    const int queue = (periods - 1) * 480;
    const int air =
        static_cast<int>(std::lround(std::hypot(0.02 - 0.045, 0.09, 0.01) / 343 * 48000));
    EXPECT_NEAR(best_lag(played, heard, 2400), queue + 384 + air, 2) << periods;
    EXPECT_EQ(info.xruns, 0U);
    // What the device tells: from the next write to the end of what was read, without converters.
    std::nth_element(delays.begin(), delays.begin() + 30, delays.end());
    EXPECT_NEAR(delays[30], queue - 480, 240) << periods;
    (*device)->stop();
  }
}

/// A busy machine may stop a client between its two starts; virtual time must not run in between,
/// or playback runs dry while capture has not begun, and time stands still for good.
TEST(RoomCard, virtual_time_waits_for_the_second_start_of_a_card) {
  RoomProcess room(true);
  ASSERT_TRUE(room.start());
  AlsaStream::Request request{.pcm = "conclave_ring",
                              .direction = SND_PCM_STREAM_PLAYBACK,
                              .channels = 1,
                              .sample_rate = 48000,
                              .period_frames = 480,
                              .buffer_frames = 1440};
  AlsaStream playback;
  ASSERT_TRUE(playback.open(request));
  request.direction = SND_PCM_STREAM_CAPTURE;
  request.channels = 8;
  request.buffer_frames = 9600;
  AlsaStream capture;
  ASSERT_TRUE(capture.open(request));
  ASSERT_EQ(playback.prepare(), 0);
  ASSERT_EQ(capture.prepare(), 0);
  ASSERT_EQ(playback.write_silence(480), 0);
  ASSERT_EQ(playback.start(), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(900));
  ASSERT_EQ(capture.start(), 0);
  EXPECT_EQ(capture.wait(480, 2000), 1) << "the first hop";
}

TEST(RoomCard, satellites_run_on_their_own_clocks) {
  RoomProcess room(true);
  ASSERT_TRUE(room.start());
  auto ring = AlsaDevice::create(ring_config());
  auto fast = AlsaDevice::create(satellite_config("conclave_sat1"));
  auto slow = AlsaDevice::create(satellite_config("conclave_sat2"));
  ASSERT_TRUE(ring && fast && slow);
  ASSERT_TRUE((*fast)->start() && (*slow)->start() && (*ring)->start());
  FrameBuffer in(8, 480);
  FrameBuffer out(1, 480);
  FrameBuffer satellite(1, 4800);
  IoInfo info;
  std::array<std::int64_t, 2> got{};
  std::array<std::int64_t, 2> first{};
  constexpr int kHops = 2500;  // 25 s
  for (int hop = 0; hop < kHops; ++hop) {
    ASSERT_EQ(patient_read(**ring, in, info), IoStatus::kOk) << hop;
    if (hop == 99 || hop == kHops - 1) {
      // Virtual time runs ahead until the playback queue is empty, then stands exactly there.
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
    for (std::size_t s = 0; s < 2; ++s) {
      const realtime::Scope real_time;
      const int count = (s == 0 ? **fast : **slow).read_available(satellite);
      const realtime::Exempt counting;
      ASSERT_GE(count, 0);
      got[s] += count;
      if (hop == 99) first[s] = got[s];
    }
    ASSERT_EQ(patient_write(**ring, out), IoStatus::kOk);
  }
  const double frames = (kHops - 100) * 480.0;
  EXPECT_NEAR((static_cast<double>(got[0] - first[0]) / frames - 1) * 1e6, 40, 4);
  EXPECT_NEAR((static_cast<double>(got[1] - first[1]) / frames - 1) * 1e6, -25, 4);
}

TEST(RoomCard, real_time_runs_by_the_clock) {
  RoomProcess room(false);
  ASSERT_TRUE(room.start());
  auto device = AlsaDevice::create(ring_config());
  ASSERT_TRUE(device) << device.error().message;
  ASSERT_TRUE((*device)->start());
  FrameBuffer in(8, 480);
  FrameBuffer out(1, 480);
  IoInfo info;
  std::int64_t first = 0;
  std::int64_t last = 0;
  int hops = 0;
  float loudest = 0;
  realtime::prepare_thread(60);
  // A busy machine may stop us for longer than the queue holds: a second without such a stop, or as
  // much of it as there is.
  int best = 0;
  double best_error_ns = 0;
  for (int hop = 0; hop < 1500 && best < 100; ++hop) {
    const realtime::Scope real_time;
    if ((*device)->read(in, info) != IoStatus::kOk || (*device)->write(out) != IoStatus::kOk) {
      (*device)->recover();
      hops = 0;
      continue;
    }
    // The clock has settled after some hops.
    (++hops <= 15 ? first : last) = info.capture_time_ns;
    if (hops > best) {
      best = hops;
      best_error_ns = static_cast<double>(last - first) - (hops - 15) * 10e6;
    }
    for (const float x : in[2]) loudest = std::max(loudest, std::abs(x));
  }
  ASSERT_GT(best, 20);
  EXPECT_NEAR(best_error_ns, 0, 8e6);
  EXPECT_LT(std::abs(SystemClock::now() - info.capture_time_ns), 1'000'000'000);
  EXPECT_GT(loudest, 1e-4F) << "sensor noise and fan";
}

TEST(RoomCard, wrong_wishes_are_answered_by_what_the_card_can_do) {
  RoomProcess room(true);
  ASSERT_TRUE(room.start());
  AlsaConfig config = ring_config();
  config.format.capture_channels = 4;
  auto device = AlsaDevice::create(config);
  ASSERT_FALSE(device);
  EXPECT_THAT(device.error().message, HasSubstr("4 channels wanted, it can do 8"));
  config = ring_config();
  config.format.sample_rate = 16000;
  device = AlsaDevice::create(config);
  ASSERT_FALSE(device);
  EXPECT_THAT(device.error().message, HasSubstr("16000 Hz wanted, it can do 48000"));

  auto first = AlsaDevice::create(satellite_config("conclave_sat1"));
  ASSERT_TRUE(first) << first.error().message;
  auto second = AlsaDevice::create(satellite_config("conclave_sat1"));
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("in use"));
}

/// Any ALSA program: read/write access and integer formats through alsa-lib alone.
TEST(RoomCard, integer_formats_and_read_write_access_work) {
  RoomProcess room(true);
  ASSERT_TRUE(room.start());
  for (const snd_pcm_format_t format : {SND_PCM_FORMAT_S16_LE, SND_PCM_FORMAT_S32_LE}) {
    snd_pcm_t* capture = nullptr;
    snd_pcm_t* playback = nullptr;
    ASSERT_EQ(snd_pcm_open(&capture, "conclave_ring", SND_PCM_STREAM_CAPTURE, 0), 0);
    ASSERT_EQ(snd_pcm_open(&playback, "conclave_ring", SND_PCM_STREAM_PLAYBACK, 0), 0);
    ASSERT_EQ(
        snd_pcm_set_params(capture, format, SND_PCM_ACCESS_RW_INTERLEAVED, 8, 48000, 0, 100000), 0);
    ASSERT_EQ(
        snd_pcm_set_params(playback, format, SND_PCM_ACCESS_RW_INTERLEAVED, 1, 48000, 0, 100000),
        0);
    double energy = 0;
    std::vector<std::int32_t> in(8 * 480);
    std::vector<std::int32_t> out(480);
    const bool wide = format == SND_PCM_FORMAT_S32_LE;
    auto* narrow_in = reinterpret_cast<std::int16_t*>(in.data());
    auto* narrow_out = reinterpret_cast<std::int16_t*>(out.data());
    for (int i = 0; i < 480; ++i) {
      const double x = 0.5 * std::sin(2 * 3.14159265 * i * 10 / 480);
      if (wide) {
        out[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(x * 2147483647.0);
      } else {
        narrow_out[i] = static_cast<std::int16_t>(x * 32767.0);
      }
    }
    for (int n = 0; n < 4; ++n) ASSERT_EQ(snd_pcm_writei(playback, out.data(), 480), 480);
    snd_pcm_start(playback);
    for (int hop = 0; hop < 30; ++hop) {
      ASSERT_EQ(snd_pcm_readi(capture, in.data(), 480), 480) << hop;
      ASSERT_EQ(snd_pcm_writei(playback, out.data(), 480), 480) << hop;
      for (int i = 0; i < 480; ++i) {
        const double x =
            wide ? in[static_cast<std::size_t>(8 * i)] / 2147483648.0 : narrow_in[8 * i] / 32768.0;
        if (hop >= 20) energy += x * x;
      }
    }
    // -9 dBFS tone, -24 dB at 1 m, about 10 cm away, and the room: around -13 dBFS.
    EXPECT_NEAR(10 * std::log10(energy / 4800), -13, 5) << snd_pcm_format_name(format);
    EXPECT_EQ(snd_pcm_drop(playback), 0);
    snd_pcm_close(capture);
    snd_pcm_close(playback);
  }
}

}  // namespace
}  // namespace conclave::drivers
