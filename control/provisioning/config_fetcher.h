// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "control/conference/rest_client.h"
#include "control/loop/loop.h"
#include "control/provisioning/config_file.h"

namespace conclave::control {

/// A configuration file with all that it includes, as fetched.
struct FetchedConfiguration {
  std::string name;  ///< of the file to begin with
  std::string text;
  std::map<std::string, std::string> parts;  ///< includes by name
  /// What came but cannot be a configuration (too long): nothing of it may be used.
  std::optional<ConfigProblem> problem;
};

/// Fetches a phone's configuration from a provisioning server: `BASE/phone.conf` and, from beside
/// it, what that includes. Remembers each file with its ETag, so that what has not changed is not
/// sent again. Control loop.
class ConfigFetcher {
 public:
  struct Failure {
    Error error;
    std::optional<Error> detail;
  };
  struct Outcome {
    std::optional<FetchedConfiguration> configuration;
    std::optional<Failure> failure;
  };
  using Done = std::function<void(Outcome)>;
  static constexpr const char* kFirst = "phone.conf";

  ConfigFetcher(Loop& loop, RestClient& client) : loop_(&loop), client_(&client) {}
  ~ConfigFetcher() { cancel(); }
  /// `base` without a slash at its end; `query` goes to the first file alone. One at a time.
  void fetch(const std::string& base, const std::string& query, std::chrono::milliseconds timeout,
             Done done);
  void cancel();

 private:
  struct Kept {
    std::string etag, text;
  };
  void ask(const std::string& name);
  void answered(const std::string& name, RestResponse response);
  void next();
  void finish(Outcome outcome);

  Loop* loop_;
  RestClient* client_;
  std::string base_, query_;
  std::chrono::milliseconds timeout_{};
  Done done_;
  std::map<std::string, Kept> kept_;        // of this base
  std::map<std::string, std::string> got_;  // in this round
  std::uint64_t request_ = 0;
  std::shared_ptr<int> round_ = std::make_shared<int>(0);  // an answer of an earlier one is dropped
};

}  // namespace conclave::control
