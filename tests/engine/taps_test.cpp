// SPDX-License-Identifier: Apache-2.0
#include "engine/taps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace conclave::engine {
namespace {

TEST(Taps, knows_every_name_and_no_other) {
  EXPECT_TRUE(Taps::create({"mic0", "mic3", "aec1", "echo2", "far", "playback", "beam", "mix",
                            "post_rs", "post_ns", "sent"},
                           4, 160));
  for (const char* name :
       {"", "mic", "mic4", "mic-1", "mic1x", "aec99999999999", "Beam", "sent0"}) {
    const auto taps = Taps::create({name}, 4, 160);
    ASSERT_FALSE(taps) << name;
    EXPECT_THAT(taps.error().message, testing::HasSubstr("mic0..mic3"));
  }
}

TEST(Taps, hands_over_signals_and_counts_what_nobody_took) {
  auto taps = std::move(*Taps::create({"mic1"}, 2, 160, 2));
  FrameBuffer signal(2, 160);
  for (int block = 0; block < 5; ++block) {
    signal[1][0] = static_cast<float>(block);
    taps.write(TapPoint::kMic, signal.view());
    taps.write(TapPoint::kSent, signal.view());
  }
  EXPECT_EQ(taps.overruns(), 3u);
  AudioFrame frame;
  for (int block = 0; block < 2; ++block) {
    ASSERT_TRUE(taps.read(0, frame));
    EXPECT_EQ(frame.data[0], static_cast<float>(block));
    EXPECT_EQ(frame.samples, 160);
  }
  EXPECT_FALSE(taps.read(0, frame));
  taps.write(TapPoint::kMic, signal.view());
  ASSERT_TRUE(taps.read(0, frame));
  EXPECT_EQ(frame.index, 5u) << "the gap must be visible";
}

}  // namespace
}  // namespace conclave::engine
