// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/demo/demo.h"

namespace conclave::apps {

/// A whole call in a folder of its own, on free ports.
class CallTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// Everything up and the call active.
  void start_call();
  /// The phone's state tree, or an empty object.
  nlohmann::json state();
  /// Waits for a condition on the state tree.
  bool eventually(const std::function<bool(const nlohmann::json&)>& condition,
                  std::chrono::seconds patience = std::chrono::seconds(15));
  /// Level in dBFS of the last second that the far end played.
  double far_end_hears_dbfs() const;

  std::filesystem::path folder_;
  std::atomic<bool> stop_{false};
  std::optional<Demo> demo_;
};

}  // namespace conclave::apps
