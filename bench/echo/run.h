// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/echo/manifest.h"
#include "bench/echo/record.h"

namespace conclave::bench::echo {

struct RunOptions {
  std::string manifest;
  std::string out;
  std::vector<std::string> systems;  ///< as make_system() takes them
  int jobs = 1;                      ///< items at a time
  Shard shard;
  std::string scorer;  ///< a command; empty: none
  double command_seconds = 120;
  bool resume = false;  ///< keeps what an interrupted run of the same has finished
  /// Milliseconds of sound through a system: done, of all. Called by one thread at a time.
  std::function<void(std::int64_t, std::int64_t)> progress;
  const std::atomic<bool>* stop = nullptr;
};

struct RunOutcome {
  RunPlan plan;
  int items = 0;     ///< of this shard
  int finished = 0;  ///< with all systems
  int kept = 0;      ///< of these, from the run before
  int failures = 0;  ///< systems that failed on an item
  std::string first_failure;
  bool stopped = false;
};

/// Runs all systems over all items of the shard, judges, and writes everything but the report. The
/// recordings are looked through before anything is made of one. A system that fails on an item is
/// told in the results and does not stop the others.
Result<RunOutcome> run_bench(const RunOptions& options);

}  // namespace conclave::bench::echo
