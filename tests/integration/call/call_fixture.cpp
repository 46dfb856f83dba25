// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/call/call_fixture.h"

#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <fstream>
#include <thread>
#include <vector>

namespace conclave::apps {

void CallTest::SetUp() {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  folder_ = std::filesystem::temp_directory_path() /
            ("conclave-" + std::to_string(getpid()) + "-" + info->name());
  // UNIX socket paths are short; so is the folder's name.
  folder_ = folder_.string().substr(0, 60);
  DemoOptions options;
  options.binaries = CONCLAVE_BINARIES;
  options.data = folder_;
  options.ui = CONCLAVE_UI;
  options.port = 0;
  options.quiet = true;
  demo_.emplace(options, stop_);
}

void CallTest::TearDown() {
  demo_->end();
  demo_.reset();
  if (HasFailure()) {
    std::printf("logs are kept in %s\n", (folder_ / "logs").c_str());
    for (const auto& log : std::filesystem::directory_iterator(folder_ / "logs")) {
      std::ifstream in(log.path());
      std::vector<std::string> lines;
      for (std::string line; std::getline(in, line);) lines.push_back(line);
      const std::size_t first = lines.size() > 12 ? lines.size() - 12 : 0;
      for (std::size_t i = first; i < lines.size(); ++i) {
        std::printf("  %s: %s\n", log.path().stem().c_str(), lines[i].c_str());
      }
    }
  } else {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
}

void CallTest::start_call() {
  const Status started = demo_->start();
  ASSERT_TRUE(started.ok()) << started.error().message;
}

nlohmann::json CallTest::state() {
  const auto answer = demo_->ask("state.resync");
  return answer ? answer->value("state", nlohmann::json::object()) : nlohmann::json::object();
}

bool CallTest::eventually(const std::function<bool(const nlohmann::json&)>& condition,
                          std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < deadline) {
    if (condition(state())) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

double CallTest::far_end_hears_dbfs() const {
  // The WAV is being written: float samples behind a header of less than a second's size.
  std::ifstream in(demo_->far_end_directory() / "played.wav", std::ios::binary | std::ios::ate);
  constexpr std::streamoff kBytes = 48000 * sizeof(float);
  const std::streamoff size = in.tellg();
  if (size < 2 * kBytes) return -200.0;
  // Samples are aligned to the end of the file, which grows by whole frames.
  in.seekg((size - kBytes) / 4 * 4);
  std::vector<float> samples(48000);
  in.read(reinterpret_cast<char*>(samples.data()), kBytes);
  double sum = 0.0;
  for (const float x : samples) sum += static_cast<double>(x) * x;
  return 10.0 * std::log10(sum / 48000.0 + 1e-20);
}

}  // namespace conclave::apps
