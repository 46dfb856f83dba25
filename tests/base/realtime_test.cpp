// SPDX-License-Identifier: Apache-2.0
#include "base/realtime.h"

#include <gtest/gtest.h>

#include <limits>
#include <mutex>
#include <thread>

#include "base/log.h"

namespace conclave::realtime {
namespace {

// The compiler may elide an allocation whose result is unused.
void* volatile sink;

class RealtimeGuard : public testing::Test {
 protected:
  void SetUp() override {
    if (!guarded()) GTEST_SKIP() << "sanitizer build: the sanitizer owns malloc";
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
};

TEST_F(RealtimeGuard, aborts_on_allocation) {
  EXPECT_DEATH(
      {
        const Scope scope;
        sink = ::operator new(32);
      },
      "real-time violation: malloc");
}
TEST_F(RealtimeGuard, aborts_on_a_lock) {
  std::mutex m;
  EXPECT_DEATH(
      {
        const Scope scope;
        m.lock();
      },
      "real-time violation: pthread_mutex_lock");
}
TEST_F(RealtimeGuard, aborts_on_a_log_line) {
  EXPECT_DEATH(
      {
        const Scope scope;
        log::info("test", "hello");
      },
      "real-time violation: log");
}
TEST_F(RealtimeGuard, lets_unmarked_threads_and_exempt_calls_pass) {
  const auto before = violations();
  {
    const Scope scope;
    EXPECT_TRUE(marked());
    const Exempt exempt;
    EXPECT_FALSE(marked());
    sink = ::operator new(16);
    ::operator delete(sink);
  }
  EXPECT_FALSE(marked());
  EXPECT_EQ(violations(), before);
}
TEST_F(RealtimeGuard, counts_when_told_to) {
  on_violation(OnViolation::kCount);
  const auto before = violations();
  {
    const Scope scope;
    sink = ::operator new(16);
    ::operator delete(sink);
  }
  on_violation(OnViolation::kAbort);
  EXPECT_EQ(violations() - before, 2u);
}
TEST(RealtimeThread, flushes_denormals) {
  std::thread([] {
    prepare_thread(50);
    volatile float tiny = std::numeric_limits<float>::min();
    volatile float half = tiny * 0.5f;
    EXPECT_EQ(half, 0.0f);
  }).join();
}

}  // namespace
}  // namespace conclave::realtime
