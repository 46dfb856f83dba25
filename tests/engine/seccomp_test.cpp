// SPDX-License-Identifier: Apache-2.0
#include "engine/seccomp_filter.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "engine/audio_thread.h"
#include "tests/engine/fake_device.h"
#include "tests/engine/synthetic_capture.h"

namespace conclave::engine {
namespace {

constexpr int kRate = 16000;

class Seccomp : public testing::Test {
 protected:
  void SetUp() override {
#ifdef CONCLAVE_SANITIZED
    GTEST_SKIP() << "sanitizers make system calls of their own";
#endif
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
};

// The whole audio thread under a filter that kills: every block, an unplugged device and the end.
TEST_F(Seccomp, the_audio_thread_needs_no_other_system_call) {
  test::FakeDevice::Seen seen;
  test::FakeDevice::Script script;
  script.on_read = [](int n) {
    if (n >= 300) return drivers::IoStatus::kEnd;
    return n == 50 ? drivers::IoStatus::kUnplugged : drivers::IoStatus::kOk;
  };
  script.gone = 5;
  AudioThreadConfig config;
  config.engine.geometry = test::ring(4);
  config.seccomp = SeccompAction::kKill;
  AudioFrameRing uplink(1024), downlink(16);
  auto thread = std::move(*AudioThread::create(
      config,
      std::make_unique<test::FakeDevice>(drivers::AudioFormat{.sample_rate = kRate,
                                                              .capture_channels = 4,
                                                              .playback_channels = 1,
                                                              .period_frames = kRate / 100},
                                         script, seen),
      {}, &uplink, &downlink));
  ASSERT_TRUE(thread->start());
  while (!thread->finished()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  thread->stop();
  EngineEvent event;
  while (thread->poll_event(event)) EXPECT_NE(event.kind, EngineEvent::Kind::kFilterRefused);
  EXPECT_EQ(thread->read_metrics().unplugs, 1u);
  EXPECT_EQ(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0, true) << "other threads are free";
}

TEST_F(Seccomp, refuses_files_when_told_to) {
  std::thread([] {
    ASSERT_TRUE(restrict_audio_thread(SeccompAction::kRefuse));
    errno = 0;
    EXPECT_EQ(open("/dev/null", O_RDONLY | O_CLOEXEC), -1);
    EXPECT_EQ(errno, EPERM);
  }).join();
}

TEST_F(Seccomp, kills_when_told_to) {
  EXPECT_EXIT(std::thread([] {
                if (!restrict_audio_thread(SeccompAction::kKill)) _exit(3);
                if (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0) _exit(4);
              }).join(),
              testing::KilledBySignal(SIGSYS), "");
}

}  // namespace
}  // namespace conclave::engine
