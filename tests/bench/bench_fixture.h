// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/echo/run.h"
#include "bench/echo/sound.h"
#include "bench/room/random.h"

namespace conclave::bench::echo {

/// A folder with a few seconds of sound and manifests on them.
class BenchTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "bench-" + std::to_string(getpid());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  static std::vector<float> noise(double seconds, float rms, std::uint64_t seed, int rate = 16000) {
    room::Random random(seed);
    std::vector<float> out(static_cast<std::size_t>(seconds * rate));
    for (float& x : out) x = rms * static_cast<float>(random.gaussian());
    return out;
  }

  /// `seconds` of echo, reference and a near talker in the last third, as files.
  nlohmann::json add_item(const std::string& id, std::uint64_t seed, double seconds = 3,
                          int rate = 16000) const {
    const auto far = noise(seconds, 0.1F, seed, rate);
    auto near = noise(seconds, 0.05F, seed + 100, rate);
    std::vector<float> mic(far.size());
    for (std::size_t i = 0; i < far.size(); ++i) {
      if (i < far.size() * 2 / 3) near[i] = 0;
      mic[i] = near[i] + (i >= 80 ? 0.5F * far[i - 80] : 0.0F);
    }
    std::filesystem::create_directories(path(id));
    EXPECT_TRUE(save_sound(path(id + "/mic.wav"), mic, rate));
    EXPECT_TRUE(save_sound(path(id + "/far.wav"), far, rate));
    EXPECT_TRUE(save_sound(path(id + "/near.wav"), near, rate));
    return {{"id", id},
            {"mics", id + "/mic.wav"},
            {"far", id + "/far.wav"},
            {"near", id + "/near.wav"},
            {"scenario", "noise"}};
  }

  std::string write_manifest(const nlohmann::json& items,
                             const std::string& name = "set.json") const {
    const nlohmann::json manifest = {{"conclave_bench", 1}, {"name", "set"}, {"items", items}};
    EXPECT_TRUE(write_text(path(name), manifest.dump()));
    return path(name);
  }

  RunOptions options(const std::string& manifest, const std::string& out,
                     std::vector<std::string> systems = {"none", "speexdsp"}) const {
    RunOptions run;
    run.manifest = manifest;
    run.out = path(out);
    run.systems = std::move(systems);
    return run;
  }

  std::string text(const std::string& name) const { return read_text(path(name)).value_or(""); }

  std::string folder_;
};

}  // namespace conclave::bench::echo
