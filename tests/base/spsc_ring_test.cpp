// SPDX-License-Identifier: Apache-2.0
#include "base/spsc_ring.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>

#include "base/audio_frame.h"

namespace conclave {
namespace {

TEST(SpscRing, is_full_at_its_capacity_and_empty_after) {
  SpscRing<int> ring(4);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ring.try_push(i));
  EXPECT_FALSE(ring.try_push(9));
  int x = -1;
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(ring.try_pop(x));
    EXPECT_EQ(x, i);
  }
  EXPECT_FALSE(ring.try_pop(x));
  EXPECT_EQ(ring.size(), 0u);
}
TEST(SpscRing, hands_every_element_across_in_order) {
  struct Element {
    std::uint64_t n, twice;
  };
  constexpr std::uint64_t kCount = 200000;
  SpscRing<Element> ring(64);
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < kCount;) {
      if (ring.try_push({i, 2 * i})) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  std::uint64_t expected = 0;
  while (expected < kCount) {
    Element e{};
    if (!ring.try_pop(e)) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_EQ(e.n, expected);
    ASSERT_EQ(e.twice, 2 * expected);
    ++expected;
  }
  producer.join();
}
TEST(SpscRing, fills_audio_frames_in_place) {
  AudioFrameRing ring(2);
  AudioFrame* slot = ring.begin_push();
  ASSERT_NE(slot, nullptr);
  slot->samples = 480;
  slot->data[479] = 0.5f;
  EXPECT_EQ(ring.begin_pop(), nullptr) << "not published yet";
  ring.end_push();
  const AudioFrame* got = ring.begin_pop();
  ASSERT_NE(got, nullptr);
  EXPECT_EQ(got->data[479], 0.5f);
  ring.end_pop();
  EXPECT_EQ(ring.begin_pop(), nullptr);
}

}  // namespace
}  // namespace conclave
