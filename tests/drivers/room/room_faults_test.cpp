// SPDX-License-Identifier: Apache-2.0
// What goes wrong with sound cards, on demand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/clock.h"
#include "base/realtime.h"
#include "tests/drivers/room/room_process.h"

namespace conclave::drivers {
namespace {

using testing::HasSubstr;

class RoomFaults : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(room.start());
    auto made = AlsaDevice::create(ring_config());
    ASSERT_TRUE(made) << made.error().message;
    device = std::move(*made);
    ASSERT_TRUE(device->start());
    ASSERT_EQ(run(20), IoStatus::kOk);
  }

  IoStatus hop() {
    const IoStatus got = patient_read(*device, in, info);
    return got == IoStatus::kOk ? patient_write(*device, out) : got;
  }
  /// Hops until something else than kOk comes.
  IoStatus run(int hops) {
    for (int n = 0; n < hops; ++n) {
      if (const IoStatus status = hop(); status != IoStatus::kOk) return status;
    }
    return IoStatus::kOk;
  }
  /// As the audio thread does it.
  bool recovered(int tries) {
    for (int n = 0; n < tries; ++n) {
      const realtime::Scope real_time;
      if (device->recover() == IoStatus::kOk) return true;
      const realtime::Exempt waiting;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  RoomProcess room{true};
  std::unique_ptr<AlsaDevice> device;
  FrameBuffer in{8, 480};
  FrameBuffer out{1, 480};
  IoInfo info;
};

TEST_F(RoomFaults, an_unplugged_card_is_told_at_once_and_comes_back) {
  ASSERT_THAT(room.control("unplug ring"), HasSubstr("\"ok\":true"));
  const std::int64_t start = SystemClock::now();
  EXPECT_EQ(run(20), IoStatus::kUnplugged);
  EXPECT_LT(SystemClock::now() - start, 300'000'000);
  EXPECT_EQ(hop(), IoStatus::kUnplugged) << "and stays so";
  EXPECT_FALSE(recovered(30));
  auto other = AlsaDevice::create(ring_config());
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("not plugged in"));
  ASSERT_THAT(room.control("plug conclave_ring"), HasSubstr("\"ok\":true"));
  ASSERT_TRUE(recovered(200));
  EXPECT_EQ(run(50), IoStatus::kOk);
}

TEST_F(RoomFaults, recovering_does_not_hammer) {
  room.control("unplug ring");
  EXPECT_EQ(run(20), IoStatus::kUnplugged);
  device->recover();
  const std::int64_t start = SystemClock::now();
  for (int n = 0; n < 1000; ++n) EXPECT_EQ(device->recover(), IoStatus::kUnplugged);
  EXPECT_LT(SystemClock::now() - start, 90'000'000) << "most tries must not reach ALSA";
}

TEST_F(RoomFaults, an_xrun_is_told_and_recovered) {
  const std::uint64_t before = info.xruns;
  ASSERT_THAT(room.control("xrun ring"), HasSubstr("\"ok\":true"));
  EXPECT_EQ(run(20), IoStatus::kXrun);
  ASSERT_TRUE(recovered(1));
  EXPECT_EQ(run(50), IoStatus::kOk);
  EXPECT_EQ(info.xruns, before + 1);
}

TEST_F(RoomFaults, a_room_that_dies_looks_like_an_unplugged_card) {
  room.kill();
  EXPECT_EQ(run(20), IoStatus::kUnplugged);
  EXPECT_FALSE(recovered(15));
  ASSERT_TRUE(room.start());
  ASSERT_TRUE(recovered(200));
  EXPECT_EQ(run(50), IoStatus::kOk);
}

TEST_F(RoomFaults, a_client_that_dies_leaves_the_card_free) {
  const pid_t child = fork();
  if (child == 0) {
    auto satellite = AlsaDevice::create(satellite_config("conclave_sat1"));
    if (!satellite || !(*satellite)->start()) _exit(1);
    raise(SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  // The room goes on for the others, and gives the card to the next one.
  EXPECT_EQ(run(50), IoStatus::kOk);
  auto satellite = AlsaDevice::create(satellite_config("conclave_sat1"));
  ASSERT_TRUE(satellite) << satellite.error().message;
}

TEST(RoomStall, a_card_that_stands_still_is_survived) {
  RoomProcess room(false);
  ASSERT_TRUE(room.start());
  auto device = AlsaDevice::create(ring_config());
  ASSERT_TRUE(device) << device.error().message;
  ASSERT_TRUE((*device)->start());
  FrameBuffer in(8, 480);
  FrameBuffer out(1, 480);
  IoInfo info;
  bool stopped = false;
  int good_after = 0;
  for (int hop = 0; hop < 400 && good_after < 20; ++hop) {
    if (hop == 20) {
      ASSERT_THAT(room.control("stall ring 250"), HasSubstr("\"ok\":true"));
    }
    const realtime::Scope real_time;
    IoStatus status = (*device)->read(in, info);
    if (status == IoStatus::kOk) status = (*device)->write(out);
    if (status == IoStatus::kOk) {
      good_after += stopped ? 1 : 0;
      continue;
    }
    stopped = stopped || hop >= 20;
    good_after = 0;
    if (status != IoStatus::kTimeout) (*device)->recover();
  }
  EXPECT_TRUE(stopped) << "a timeout or an xrun";
  EXPECT_EQ(good_after, 20);
}

}  // namespace
}  // namespace conclave::drivers
