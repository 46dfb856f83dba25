// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::bench::echo {

/// What a system gets: whole recordings of one rate (16000 or 48000).
struct SystemInput {
  int rate = 16000;
  FrameBuffer mics;     ///< channels x frames; echo control is judged on the first
  FrameBuffer far;      ///< 1 x frames, what the loudspeaker was given
  std::string profile;  ///< the microphones' places; empty: one microphone
};

/// CPU time of the thread that worked, for each 10 ms of sound.
struct CpuTime {
  double mean_us = 0;
  double p50_us = 0;  ///< 0 with the others where only the whole is known
  double p99_us = 0;
  double max_us = 0;
};

struct SystemOutput {
  std::vector<float> sent;  ///< as long as the input
  CpuTime cpu;
  std::optional<double> latency_ms;  ///< as the system says itself
};

/// One way of controlling echo. Objects are shared by threads: run() keeps nothing between calls,
/// starts from a fresh state each time, and gives the same output for the same input.
///
/// A new one: a class with these two, and a line in systems.cpp.
class System {
 public:
  virtual ~System() = default;
  virtual const std::string& name() const = 0;
  /// `stop` is looked at by those that take long; then the result is an error.
  virtual Result<SystemOutput> run(const SystemInput& input,
                                   const std::atomic<bool>& stop) const = 0;
};

struct SystemOptions {
  double command_seconds = 120;  ///< an external command that takes longer is ended
};

/// `what`: a name of known_systems(), or NAME=COMMAND for an external program.
Result<std::unique_ptr<System>> make_system(const std::string& what, const SystemOptions& options);

struct KnownSystem {
  const char* name;
  const char* meaning;
};
const std::vector<KnownSystem>& known_systems();

}  // namespace conclave::bench::echo
