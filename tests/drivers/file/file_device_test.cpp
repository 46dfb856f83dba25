// SPDX-License-Identifier: Apache-2.0
#include "drivers/file/file_device.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace conclave::drivers {
namespace {

class FileDeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto writer = std::move(*AudioFileWriter::create(in_, 2, 16000));
    FrameBuffer samples(2, 1000);
    for (int i = 0; i < 1000; ++i) {
      samples[0][static_cast<std::size_t>(i)] = 0.001F * static_cast<float>(i);
    }
    ASSERT_TRUE(writer->write(samples));
    ASSERT_TRUE(writer->finish());
  }
  void TearDown() override {
    std::filesystem::remove(in_);
    std::filesystem::remove(out_);
  }
  std::string in_ = testing::TempDir() + "file_device_in.wav";
  std::string out_ = testing::TempDir() + "file_device_out.wav";
};

TEST_F(FileDeviceTest, plays_a_recording_block_by_block_to_its_end) {
  auto device = FileDevice::create({.capture_path = in_, .playback_path = out_});
  ASSERT_TRUE(device) << device.error().message;
  EXPECT_EQ((*device)->format().capture_channels, 2);
  EXPECT_EQ((*device)->format().playback_channels, 1);
  EXPECT_EQ((*device)->format().period_frames, 160);
  ASSERT_TRUE((*device)->start());
  FrameBuffer capture(2, 160);
  IoInfo info;
  int blocks = 0;
  while ((*device)->read(capture, info) == IoStatus::kOk) {
    ++blocks;
    EXPECT_EQ(info.capture_time_ns, blocks * 10'000'000LL);
    EXPECT_EQ((*device)->write(capture.view().rows(0, 1)), IoStatus::kOk);
  }
  EXPECT_EQ(blocks, 7) << "the last one is filled up";
  EXPECT_EQ((*device)->read(capture, info), IoStatus::kEnd);
  (*device)->stop();
  const auto played = AudioFileReader::open(out_);
  ASSERT_TRUE(played);
  EXPECT_EQ((*played)->frames(), 7 * 160);
}

TEST_F(FileDeviceTest, gives_a_period_at_a_time_as_a_satellite) {
  auto device = std::move(*FileDevice::create({.capture_path = in_}));
  FrameBuffer capture(2, 640);
  EXPECT_EQ(device->read_available(capture), 160);
  EXPECT_FLOAT_EQ(capture[0][159], 0.159F);
  EXPECT_EQ(device->read_available(capture), 160);
  EXPECT_FLOAT_EQ(capture[0][0], 0.160F);
}

TEST_F(FileDeviceTest, refuses_what_does_not_fit) {
  EXPECT_FALSE(FileDevice::create({.capture_path = in_, .expected = {.channels = 8}}));
  EXPECT_FALSE(FileDevice::create({.capture_path = in_, .playback_path = "/no/such/x.wav"}));
  EXPECT_FALSE(FileDevice::create({.capture_path = "/no/such.wav"}));
}

}  // namespace
}  // namespace conclave::drivers
