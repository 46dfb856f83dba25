// SPDX-License-Identifier: Apache-2.0
#include "base/latest_value.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>

namespace conclave {
namespace {

struct Params {
  std::uint64_t a = 0, b = 0, c = 0;
};

TEST(LatestValue, gives_the_initial_then_the_newest) {
  LatestValue<int> v(3);
  EXPECT_EQ(v.read(), 3);
  EXPECT_FALSE(v.fresh());
  v.publish(4);
  v.publish(5);
  EXPECT_TRUE(v.fresh());
  EXPECT_EQ(v.read(), 5);
  EXPECT_FALSE(v.fresh());
  EXPECT_EQ(v.read(), 5);
}
TEST(LatestValue, is_never_torn_and_never_goes_back) {
  LatestValue<Params> v;
  constexpr std::uint64_t kCount = 200000;
  std::thread writer([&] {
    for (std::uint64_t i = 1; i <= kCount; ++i) v.publish({i, i * 3, i * 7});
  });
  std::uint64_t last = 0;
  while (last < kCount) {
    const Params p = v.read();
    ASSERT_EQ(p.b, p.a * 3);
    ASSERT_EQ(p.c, p.a * 7);
    ASSERT_GE(p.a, last);
    last = p.a;
  }
  writer.join();
}

}  // namespace
}  // namespace conclave
