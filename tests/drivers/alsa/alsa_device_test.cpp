// SPDX-License-Identifier: Apache-2.0
// AlsaDevice against alsa-lib's own PCMs; with cards that move in time: tests/drivers/room.
#include "drivers/alsa/alsa_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "base/realtime.h"

namespace conclave::drivers {
namespace {

using testing::HasSubstr;

TEST(AlsaDevice, runs_on_any_pcm) {
  AlsaConfig config{.capture_pcm = "null", .playback_pcm = "null"};
  config.format = {.capture_channels = 8, .playback_channels = 1};
  auto device = AlsaDevice::create(config);
  ASSERT_TRUE(device) << device.error().message;
  EXPECT_EQ((*device)->name(), "null");
  ASSERT_TRUE((*device)->start());
  FrameBuffer in(8, 480);
  FrameBuffer out(1, 480);
  for (float& x : in[3]) x = 1;
  IoInfo info;
  {
    const realtime::Scope real_time;  // what the device does itself must not allocate
    for (int hop = 0; hop < 20; ++hop) {
      ASSERT_EQ((*device)->read(in, info), IoStatus::kOk);
      ASSERT_EQ((*device)->write(out), IoStatus::kOk);
    }
  }
  EXPECT_EQ(in[3][7], 0);
  EXPECT_GT(info.capture_time_ns, 0);
  (*device)->stop();
  EXPECT_EQ((*device)->read(in, info), IoStatus::kUnplugged);
  ASSERT_TRUE((*device)->start()) << "a stopped device starts again";
  EXPECT_EQ((*device)->read(in, info), IoStatus::kOk);
}

TEST(AlsaDevice, one_direction_is_enough) {
  AlsaConfig config{.capture_pcm = "null"};
  config.format = {.capture_channels = 1, .playback_channels = 1};
  auto device = AlsaDevice::create(config);
  ASSERT_TRUE(device) << device.error().message;
  EXPECT_EQ((*device)->format().playback_channels, 0);
  ASSERT_TRUE((*device)->start());
  FrameBuffer in(1, 4800);
  EXPECT_GT((*device)->read_available(in), 0);
  EXPECT_EQ((*device)->write(in.view().columns(0, 480)), IoStatus::kOk) << "ignored";

  AlsaConfig speaker{.playback_pcm = "null"};
  speaker.format = {.capture_channels = 0, .playback_channels = 1};
  auto player = AlsaDevice::create(speaker);
  ASSERT_TRUE(player) << player.error().message;
  ASSERT_TRUE((*player)->start());
  IoInfo info;
  EXPECT_EQ((*player)->read(FrameView(nullptr, 0, 480), info), IoStatus::kOk);
  EXPECT_EQ((*player)->write(in.view().columns(0, 480)), IoStatus::kOk);
  EXPECT_EQ((*player)->read_available(in), -1);
}

TEST(AlsaDevice, messages_name_the_card_and_the_remedy) {
  AlsaConfig config{.capture_pcm = "no_such_card_at_all"};
  auto device = AlsaDevice::create(config);
  ASSERT_FALSE(device);
  EXPECT_THAT(device.error().message, HasSubstr("no_such_card_at_all"));
  EXPECT_THAT(device.error().message, HasSubstr("aplay -L"));

  EXPECT_FALSE(AlsaDevice::create({}));
  config.capture_pcm = "null";
  config.format.capture_channels = 0;
  EXPECT_FALSE(AlsaDevice::create(config));
  config.format.capture_channels = 1;
  config.format.periods = 1;
  EXPECT_FALSE(AlsaDevice::create(config));
}

}  // namespace
}  // namespace conclave::drivers
