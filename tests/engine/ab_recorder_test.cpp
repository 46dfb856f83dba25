// SPDX-License-Identifier: Apache-2.0
#include "engine/ab_recorder.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace conclave::engine {
namespace {

constexpr int kHop = 160;
constexpr int kLatency = 192;

// A ramp that float holds exactly; what is sent is the microphone, kLatency later.
void write_blocks(AbRecorder& recorder, int first, int count) {
  std::vector<float> raw(kHop), sent(kHop), played(kHop);
  for (int b = first; b < first + count; ++b) {
    for (int i = 0; i < kHop; ++i) {
      const int n = b * kHop + i;
      raw[static_cast<std::size_t>(i)] = static_cast<float>(n);
      sent[static_cast<std::size_t>(i)] = static_cast<float>(n - kLatency);
      played[static_cast<std::size_t>(i)] = static_cast<float>(-n);
    }
    recorder.write(raw, sent, played, (b + 1) * 10'000'000LL);
  }
}

TEST(AbRecorder, gives_aligned_signals) {
  AbRecorder recorder(16000, 2.0, kLatency);
  EXPECT_TRUE(recorder.copy_last(1.0).raw.empty());
  write_blocks(recorder, 0, 50);
  const auto early = recorder.copy_last(2.0);
  EXPECT_EQ(early.raw.size(), 50u * kHop - kLatency) << "no more than was heard";
  EXPECT_EQ(early.raw, early.sent);
  EXPECT_EQ(early.start_ns, 0) << "the first sample that was heard";

  write_blocks(recorder, 50, 1000);
  const auto last = recorder.copy_last(0.5);
  ASSERT_EQ(last.raw.size(), 8000u);
  EXPECT_EQ(last.raw, last.sent);
  EXPECT_EQ(last.played.front(), -last.raw.front());
  EXPECT_EQ(last.start_ns, 10'500'000'000 - (8000 + kLatency) * 62'500LL);
  EXPECT_EQ(last.sent.back(), static_cast<float>(1050 * kHop - 1 - kLatency));
  EXPECT_EQ(recorder.copy_last(99.0).raw.size(), 32000u) << "capped at its length";
  EXPECT_TRUE(recorder.copy_last(-1.0).raw.empty());
}

TEST(AbRecorder, a_copy_is_never_torn) {
  AbRecorder recorder(16000, 0.5, kLatency);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int b = 0; !stop; ++b) {
      write_blocks(recorder, b % 100000, 1);
      if (b % 8 == 0) std::this_thread::yield();
    }
  });
  int whole = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (whole < 200 && std::chrono::steady_clock::now() < end) {
    const auto copy = recorder.copy_last(0.4);
    if (copy.raw.empty()) continue;
    ++whole;
    for (std::size_t n = 0; n < copy.raw.size(); ++n) {
      ASSERT_EQ(copy.raw[n], copy.sent[n]);
      ASSERT_EQ(copy.raw[n], copy.raw[0] + static_cast<float>(n));
    }
  }
  stop = true;
  writer.join();
  EXPECT_GT(whole, 0);
}

}  // namespace
}  // namespace conclave::engine
