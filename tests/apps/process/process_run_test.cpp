// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/process_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "drivers/file/audio_file.h"
#include "drivers/file/file_device.h"
#include "engine/audio_thread.h"
#include "engine/profile.h"
#include "tests/engine/synthetic_capture.h"

namespace conclave::apps {
namespace {

using engine::Chain;
namespace synthetic = engine::test;
using testing::HasSubstr;

constexpr int kRate = 16000;
constexpr int kFrames = 3 * kRate + 77;  // the last block is not full

class Process : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "process_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
    const auto geometry = synthetic::ring(4, 0.05, 1);
    FrameBuffer talker(5, kFrames), noise(5, kFrames), mix(5, kFrames);
    synthetic::add_talker(geometry, synthetic::babble(kFrames, kRate, 0.05F, 2), 60, kRate, talker);
    std::ranges::copy(synthetic::babble(kFrames, kRate, 0.05F, 2), talker[4].begin());
    synthetic::add_noise(0.002F, 3, noise);
    for (int c = 0; c < 5; ++c) {
      for (std::size_t i = 0; i < kFrames; ++i) mix[c][i] = talker[c][i] + noise[c][i];
    }
    FrameBuffer far(1, kFrames / 2);
    std::ranges::copy(synthetic::babble(kFrames / 2, kRate, 0.1F, 1), far[0].begin());
    write("mix.wav", mix.view());
    write("ring.wav", mix.view().rows(0, 4));
    write("sats.wav", mix.view().rows(4, 1));
    write("talker.wav", talker.view());
    write("noise.wav", noise.view());
    write("far.wav", far.view());
    std::ofstream(path("p.json"))
        << R"({"ring":[[0.05,0,0],[0,0.05,0],[-0.05,0,0],[0,-0.05,0]],"satellites":[[1.5,0,0]]})";
    options_.profile = path("p.json");
    options_.mics = path("mix.wav");
    options_.out = path("out.wav");
    options_.quiet = true;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void write(const std::string& name, ConstFrameView samples) const {
    auto writer =
        std::move(*drivers::AudioFileWriter::create(path(name), samples.channels(), kRate));
    ASSERT_TRUE(writer->write(samples));
    ASSERT_TRUE(writer->finish());
  }
  static std::string bytes(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static std::vector<float> samples(const std::string& file) {
    auto reader = drivers::AudioFileReader::open(file);
    EXPECT_TRUE(reader) << reader.error().message;
    FrameBuffer all((*reader)->channels(), static_cast<int>((*reader)->frames()));
    (*reader)->read(all);
    return {all[0].begin(), all[0].end()};
  }
  static std::vector<std::string> lines(const std::string& file) {
    std::ifstream in(file);
    std::vector<std::string> all;
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
  }
  std::string fails() const {
    const auto status = run_process(options_);
    EXPECT_FALSE(status);
    return status ? "" : status.error().message;
  }

  std::string folder_;
  ProcessOptions options_;
};

TEST_F(Process, two_runs_write_the_same_bytes) {
  options_.far = path("far.wav");
  options_.metrics = path("m.json");
  ASSERT_TRUE(run_process(options_));
  const auto first = bytes(options_.out);
  ASSERT_TRUE(run_process(options_));
  EXPECT_EQ(bytes(options_.out), first);
  EXPECT_EQ(samples(options_.out).size(), static_cast<std::size_t>(kFrames));
  const auto metrics = bytes(options_.metrics);
  for (const char* key : {"latency_ms", "real_time_factor", "cpu_us_per_10ms", "p99", "erle_db",
                          "delay_ms", "ppm", "\"violations\": 0"}) {
    EXPECT_THAT(metrics, HasSubstr(key));
  }
}

TEST_F(Process, satellites_may_come_by_a_file_of_their_own) {
  ASSERT_TRUE(run_process(options_));
  const auto together = bytes(options_.out);
  options_.mics = path("ring.wav");
  options_.satellites = path("sats.wav");
  ASSERT_TRUE(run_process(options_));
  EXPECT_EQ(bytes(options_.out), together);
  options_.satellites.clear();
  ASSERT_TRUE(run_process(options_)) << "the ring alone is a valid recording";
}

// A phone whose cards are these files sends exactly this.
TEST_F(Process, equals_the_audio_thread_on_the_same_file) {
  ASSERT_TRUE(run_process(options_));
  const auto processed = samples(options_.out);
  engine::AudioThreadConfig config;
  config.engine.geometry = engine::load_profile(options_.profile)->geometry;
  config.engine.reference = engine::Reference::kFarEnd;
  AudioFrameRing uplink(1024);
  auto device = std::move(*drivers::FileDevice::create({.capture_path = options_.mics}));
  auto thread =
      std::move(*engine::AudioThread::create(config, std::move(device), {}, &uplink, nullptr));
  ASSERT_TRUE(thread->start());
  while (!thread->finished()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  thread->stop();
  std::size_t at = 0;
  AudioFrame frame;
  while (uplink.try_pop(frame)) {
    for (int i = 0; i < frame.samples && at < processed.size(); ++i, ++at) {
      ASSERT_EQ(frame.data[static_cast<std::size_t>(i)], processed[at]) << at;
    }
  }
  EXPECT_EQ(at, processed.size());
}

TEST_F(Process, shadows_add_up_to_what_was_sent) {
  options_.chain = Chain::kArray;
  options_.raw_gain = true;
  options_.shadow = {{"target", path("talker.wav"), ""}, {"noise", path("noise.wav"), ""}};
  options_.shadow_out = path("shadow/deep");
  ASSERT_TRUE(run_process(options_));
  const auto sent = samples(options_.out);
  const auto target = samples(path("shadow/deep/target.wav"));
  const auto noise = samples(path("shadow/deep/noise.wav"));
  ASSERT_EQ(target.size(), sent.size());
  double error = 0, energy = 0;
  for (std::size_t i = 0; i < sent.size(); ++i) {
    const double e = static_cast<double>(sent[i]) - static_cast<double>(target[i]) -
                     static_cast<double>(noise[i]);
    error += e * e;
    energy += static_cast<double>(sent[i]) * static_cast<double>(sent[i]);
  }
  EXPECT_LT(10.0 * std::log10(error / energy), -100.0);
}

TEST_F(Process, every_chain_and_a_lone_microphone_work) {
  FrameBuffer one(1, kFrames);
  synthetic::add_noise(0.01F, 1, one);
  write("one.wav", one.view());
  for (const auto chain : {Chain::kFull, Chain::kEcho, Chain::kArray}) {
    options_.chain = chain;
    options_.profile = path("p.json");
    options_.mics = path("mix.wav");
    EXPECT_TRUE(run_process(options_));
    options_.profile.clear();
    options_.mics = path("one.wav");
    EXPECT_TRUE(run_process(options_));
  }
}

TEST_F(Process, writes_tracks_clocks_beams_and_taps) {
  options_.chain = Chain::kArray;
  options_.tracks = path("t.csv");
  options_.sync = path("s.csv");
  options_.beams = path("w.json");
  options_.taps = {"mic1", "beam", "sent"};
  options_.taps_out = path("taps");
  ASSERT_TRUE(run_process(options_));
  const auto tracks = lines(options_.tracks);
  ASSERT_GT(tracks.size(), 50u);
  EXPECT_EQ(tracks[0], "t_seconds,azimuth_deg,elevation_deg,id,activity");
  std::stringstream last(tracks.back());
  double t = 0, azimuth = 0;
  char comma = 0;
  last >> t >> comma >> azimuth;
  EXPECT_NEAR(azimuth, 60.0, 8.0) << tracks.back();
  EXPECT_EQ(lines(options_.sync)[0], "t_seconds,satellite,ppm,latency_ms,gain_db");
  const auto beams = bytes(options_.beams);
  for (const char* key : {"\"freqs\":[0.0", "\"pos\":[[0.05,0.0,0.0]", "\"look\":[", "\"w\":[[["}) {
    EXPECT_THAT(beams, HasSubstr(key));
  }
  EXPECT_EQ(samples(path("taps/sent.wav")).size(), static_cast<std::size_t>(kFrames + 160 - 77));
  EXPECT_EQ(samples(path("taps/mic1.wav"))[1000], [&] {
    auto reader = std::move(*drivers::AudioFileReader::open(options_.mics));
    FrameBuffer all(5, kFrames);
    reader->read(all);
    return all[1][1000];
  }());
}

TEST_F(Process, tells_what_is_wrong_and_what_to_do) {
  const auto good = options_;
  options_.mics = path("ring.wav");
  options_.satellites = path("ring.wav");
  EXPECT_THAT(fails(), HasSubstr("has 4 channels, but 1"));
  options_ = good;
  options_.mics = path("sats.wav");
  EXPECT_THAT(fails(), HasSubstr("the profile has 4 in the ring and 1 satellites"));
  options_ = good;
  options_.profile.clear();
  EXPECT_THAT(fails(), HasSubstr("--profile"));
  options_ = good;
  options_.far = path("mix.wav");
  EXPECT_THAT(fails(), HasSubstr("has 5 channels, but a reference has one for each loudspeaker"));
  options_.far = path("wide.wav");
  {
    FrameBuffer wide(1, 48000);
    auto writer = std::move(*drivers::AudioFileWriter::create(path("wide.wav"), 1, 48000));
    ASSERT_TRUE(writer->write(wide));
    ASSERT_TRUE(writer->finish());
  }
  EXPECT_THAT(fails(), HasSubstr("has 48000 Hz, but 16000 Hz are needed"));
  options_ = good;
  options_.chain = Chain::kEcho;
  options_.beams = path("w.json");
  EXPECT_THAT(fails(), HasSubstr("--beams"));
  options_ = good;
  options_.taps = {"nothing"};
  options_.taps_out = path("taps");
  EXPECT_THAT(fails(), HasSubstr("no tap \"nothing\""));
  options_ = good;
  options_.shadow = {{"target", path("far.wav"), ""}};
  options_.shadow_out = path("shadow");
  EXPECT_FALSE(run_process(options_));
  options_ = good;
  options_.out = path("no/such/folder/out.wav");
  EXPECT_THAT(fails(), HasSubstr("cannot be written"));
  options_ = good;
  options_.mics = path("missing.wav");
  EXPECT_THAT(fails(), HasSubstr("missing.wav"));
}

}  // namespace
}  // namespace conclave::apps
