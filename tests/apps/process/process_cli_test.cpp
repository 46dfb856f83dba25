// SPDX-License-Identifier: Apache-2.0
// The program itself: exit codes, one line of text, progress.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <string>

#include "drivers/file/audio_file.h"

namespace conclave {
namespace {

using testing::HasSubstr;

struct Outcome {
  int code = -1;
  std::string text;  // both streams
};

Outcome run(const std::string& arguments) {
  const std::string command = std::string(CONCLAVE_PROGRAM) + " " + arguments + " 2>&1";
  Outcome outcome;
  std::FILE* pipe = popen(command.c_str(), "re");
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> buffer{};
  for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    outcome.text.append(buffer.data(), got);
  }
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

std::ptrdiff_t lines(const std::string& text) { return std::ranges::count(text, '\n'); }

class Cli : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_);
    auto writer = std::move(*drivers::AudioFileWriter::create(in_, 1, 16000));
    FrameBuffer samples(1, 32000);
    ASSERT_TRUE(writer->write(samples));
    ASSERT_TRUE(writer->finish());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string folder_ = testing::TempDir() + "process_cli";
  std::string in_ = folder_ + "/in.wav";
  std::string out_ = folder_ + "/out.wav";
};

TEST_F(Cli, helps_and_tells_its_version) {
  const auto help = run("process --help");
  EXPECT_EQ(help.code, 0);
  for (const char* option : {"--profile", "--mics", "--satellites", "--far", "--out", "--chain",
                             "--raw-gain", "--tracks", "--sync", "--beams", "--shadow",
                             "--shadow-out", "--metrics", "--taps", "--taps-out", "--quiet"}) {
    EXPECT_THAT(help.text, HasSubstr(option));
  }
  EXPECT_EQ(run("--help").code, 0);
  EXPECT_THAT(run("--version").text, testing::StartsWith("conclave "));
  EXPECT_THAT(run("--version --json").text, HasSubstr("\"version\""));
}

TEST_F(Cli, ends_with_2_and_one_line_on_wrong_use) {
  for (const char* wrong :
       {"", "nonsense", "process", "process --out x.wav", "process --mics x",
        "process --mics a --out b --chain sideways", "process --mics a --out b --frobnicate",
        "process --mics a --out b --shadow target=t.wav",
        "process --mics a --out b --shadow target --shadow-out d",
        "process --mics a --out b --taps sent"}) {
    const auto outcome = run(wrong);
    EXPECT_EQ(outcome.code, 2) << wrong << "\n" << outcome.text;
    EXPECT_EQ(lines(outcome.text), 1) << wrong << "\n" << outcome.text;
    EXPECT_THAT(outcome.text, HasSubstr("--help")) << wrong;
  }
}

TEST_F(Cli, ends_with_1_and_one_line_on_failure) {
  const auto outcome = run("process --mics " + folder_ + "/missing.wav --out " + out_);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(lines(outcome.text), 1) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("missing.wav"));
}

TEST_F(Cli, shows_plain_progress_in_a_pipe_and_none_when_quiet) {
  const std::string arguments = "process --chain array --mics " + in_ + " --out " + out_;
  const auto told = run(arguments);
  EXPECT_EQ(told.code, 0) << told.text;
  EXPECT_EQ(lines(told.text), 10) << told.text;
  EXPECT_THAT(told.text, HasSubstr("process: 100 %"));
  const auto quiet = run(arguments + " --quiet");
  EXPECT_EQ(quiet.code, 0);
  EXPECT_EQ(quiet.text, "");
}

}  // namespace
}  // namespace conclave
