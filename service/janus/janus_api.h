// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace conclave::service {

/// The HTTP side of Janus: one request at a time, each with a deadline. One thread for each object.
class JanusApi {
 public:
  JanusApi(std::string url, std::string secret);
  ~JanusApi();

  /// POST to `path` ("", "/SESSION" or "/SESSION/HANDLE"). Adds transaction (unless there) and
  /// secret. Errors: no answer within `timeout_ms`, no JSON, or {"janus":"error"}.
  Result<nlohmann::json> post(const std::string& path, nlohmann::json message,
                              int timeout_ms = 2000);
  /// Waits for events of a session: up to 10 of them, an array. Ends early when `stop` becomes true
  /// (within about a second) or the process goes.
  Result<nlohmann::json> poll(std::uint64_t session, const std::atomic<bool>& stop);

 private:
  Result<nlohmann::json> perform();
  struct State;
  const std::string url_;
  const std::string secret_;
  std::unique_ptr<State> state_;
  std::uint64_t next_ = 1;
};

}  // namespace conclave::service
