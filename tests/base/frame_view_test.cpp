// SPDX-License-Identifier: Apache-2.0
#include "base/frame_view.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace conclave {
namespace {

TEST(FrameBuffer, rows_are_aligned_and_zero) {
  FrameBuffer b(3, 100);
  for (int c = 0; c < 3; ++c) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b[c].data()) % 64, 0u);
    for (const float x : b[c]) EXPECT_EQ(x, 0.0f);
  }
  EXPECT_EQ(b.stride(), 112);
}
TEST(FrameView, slices_channels_and_samples) {
  FrameBuffer b(4, 10);
  b[2][5] = 1.0f;
  const FrameView v = b.view();
  EXPECT_EQ(v.rows(2, 1)[0][5], 1.0f);
  EXPECT_EQ(v.columns(5, 2)[2][0], 1.0f);
  const ConstFrameView c = v;
  EXPECT_EQ(c[2][5], 1.0f);
  b.clear();
  EXPECT_EQ(c[2][5], 0.0f);
}
TEST(FrameView, copies_between_strides) {
  FrameBuffer a(2, 7), b(3, 9);
  for (int i = 0; i < 7; ++i) a[1][static_cast<std::size_t>(i)] = static_cast<float>(i);
  copy(ConstFrameView(a.view()), b.view().rows(1, 2).columns(2, 7));
  EXPECT_EQ(b[2][8], 6.0f);
}

}  // namespace
}  // namespace conclave
