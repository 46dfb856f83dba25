// SPDX-License-Identifier: Apache-2.0
#include "drivers/file/audio_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

namespace conclave::drivers {
namespace {

using testing::HasSubstr;

class AudioFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "audio_file_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  static FrameBuffer ramp(int channels, int frames) {
    FrameBuffer buffer(channels, frames);
    for (int c = 0; c < channels; ++c) {
      for (int i = 0; i < frames; ++i) {
        buffer[c][static_cast<std::size_t>(i)] =
            0.5F * std::sin(0.01F * static_cast<float>(i * (c + 1)));
      }
    }
    return buffer;
  }
  std::string write(const std::string& name, const FrameBuffer& samples, int rate = 16000) {
    auto writer = AudioFileWriter::create(path(name), samples.channels(), rate);
    EXPECT_TRUE(writer) << writer.error().message;
    EXPECT_TRUE((*writer)->write(samples));
    EXPECT_TRUE((*writer)->finish());
    return path(name);
  }
  static std::string bytes(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void store(const std::string& file, const std::string& content) {
    std::ofstream(file, std::ios::binary) << content;
  }
  static std::string why(const std::string& file, AudioFileExpectation expected = {}) {
    const auto reader = AudioFileReader::open(file, expected);
    EXPECT_FALSE(reader) << file << " was accepted";
    if (reader) return "";
    EXPECT_THAT(reader.error().message, HasSubstr(file));
    return reader.error().message;
  }
  std::string folder_;
};

TEST_F(AudioFile, wav_keeps_every_bit_and_flac_24) {
  const auto samples = ramp(3, 12345);
  for (const char* name : {"a.wav", "a.flac"}) {
    const auto reader = AudioFileReader::open(write(name, samples, 48000));
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_EQ((*reader)->channels(), 3);
    EXPECT_EQ((*reader)->sample_rate(), 48000);
    EXPECT_EQ((*reader)->frames(), 12345);
    FrameBuffer back(3, 480);
    const float tolerance = std::string(name).ends_with(".wav") ? 0.0F : 1.0F / (1 << 22);
    for (int at = 0; at < 12345; at += 480) {
      const int got = (*reader)->read(back);
      EXPECT_EQ(got, std::min(480, 12345 - at));
      for (int c = 0; c < 3; ++c) {
        for (int i = 0; i < 480; ++i) {
          const float wanted = i < got ? samples[c][static_cast<std::size_t>(at + i)] : 0.0F;
          ASSERT_NEAR(back[c][static_cast<std::size_t>(i)], wanted, tolerance);
        }
      }
    }
    EXPECT_EQ((*reader)->read(back), 0);
  }
}

TEST_F(AudioFile, the_same_samples_make_the_same_bytes) {
  const auto samples = ramp(2, 5000);
  EXPECT_EQ(bytes(write("one.wav", samples)), bytes(write("two.wav", samples)));
  EXPECT_EQ(bytes(path("one.wav")).find("PEAK"), std::string::npos) << "holds the time of day";
}

TEST_F(AudioFile, refuses_the_wrong_shape_and_says_so) {
  const auto stereo = write("s.wav", ramp(2, 1000), 16000);
  EXPECT_THAT(why(stereo, {.channels = 8}), HasSubstr("has 2 channels, but 8"));
  EXPECT_THAT(why(stereo, {.sample_rate = 48000}), HasSubstr("has 16000 Hz, but 48000"));
  EXPECT_THAT(why(write("r.wav", ramp(1, 1000), 44100)), HasSubstr("44100 Hz"));
  EXPECT_THAT(why(path("missing.wav")), HasSubstr("does not exist"));
  EXPECT_THAT(why(folder_), HasSubstr("not a file"));
  store(path("empty.wav"), "");
  EXPECT_THAT(why(path("empty.wav")), HasSubstr("empty"));
  store(path("text.wav"), std::string(500, 'x'));
  EXPECT_THAT(why(path("text.wav")), HasSubstr("cannot be read as WAV or FLAC"));
}

TEST_F(AudioFile, refuses_samples_that_are_not_numbers_and_tells_where) {
  auto samples = ramp(4, 40000);
  samples[2][24000] = std::numeric_limits<float>::quiet_NaN();
  const auto nan = why(write("nan.wav", samples));
  EXPECT_THAT(nan, HasSubstr("channel 2"));
  EXPECT_THAT(nan, HasSubstr("NaN"));
  EXPECT_THAT(nan, HasSubstr("1.500 s"));
  samples = ramp(4, 40000);
  samples[3][16000] = -std::numeric_limits<float>::infinity();
  const auto infinite = why(write("inf.wav", samples));
  EXPECT_THAT(infinite, HasSubstr("channel 3"));
  EXPECT_THAT(infinite, HasSubstr("infinity at 1.000 s"));
}

TEST_F(AudioFile, notices_recordings_that_were_cut_short) {
  for (const char* name : {"a.wav", "a.flac"}) {
    const auto whole = bytes(write(name, ramp(2, 16000)));
    for (const double part : {0.9, 0.5, 0.1}) {
      store(path(name),
            whole.substr(0, static_cast<std::size_t>(static_cast<double>(whole.size()) * part)));
      EXPECT_THAT(why(path(name)), testing::AnyOf(HasSubstr("cut short"), HasSubstr("damaged")));
    }
    for (const std::size_t header : {4u, 11u, 20u, 37u, 41u}) {
      store(path(name), whole.substr(0, header));
      why(path(name));
    }
  }
}

TEST_F(AudioFile, survives_damaged_bytes) {
  const auto wav = bytes(write("d.wav", ramp(2, 2000)));
  const auto flac = bytes(write("d.flac", ramp(2, 2000)));
  std::uint32_t state = 1;
  for (int i = 0; i < 300; ++i) {
    auto damaged = i % 2 == 0 ? wav : flac;
    for (int k = 0; k < 4; ++k) {
      state = state * 1664525U + 1013904223U;
      damaged[(state >> 8) % std::min<std::size_t>(damaged.size(), 200)] =
          static_cast<char>(state >> 24);
    }
    const auto file = path(i % 2 == 0 ? "x.wav" : "x.flac");
    store(file, damaged);
    const auto reader = AudioFileReader::open(file);
    if (!reader) continue;
    FrameBuffer back((*reader)->channels(), 480);
    while ((*reader)->read(back) > 0) {
    }
  }
}

TEST_F(AudioFile, a_folder_that_is_not_there_cannot_be_written) {
  const auto writer = AudioFileWriter::create(path("no/such/out.wav"), 1, 16000);
  ASSERT_FALSE(writer);
  EXPECT_THAT(writer.error().message, HasSubstr("cannot be written"));
}

TEST_F(AudioFile, a_full_disk_is_told) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  auto writer = AudioFileWriter::create("/dev/full", 1, 16000);
  if (!writer) return;
  FrameBuffer much(1, 100000);
  for (int i = 0; i < 20; ++i) (*writer)->write(much);
  EXPECT_FALSE((*writer)->finish());
}

}  // namespace
}  // namespace conclave::drivers
