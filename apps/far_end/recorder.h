// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "base/audio_frame.h"
#include "base/result.h"

namespace conclave::apps {

/// Writes 10 ms frames of 48 kHz to NAME.wav (32-bit float) on a thread of its own, so that a slow
/// disk never delays sound, and NAME.json beside it: {"start_ns": CLOCK_MONOTONIC time of the first
/// sample, "sample_rate", "samples", "dropped_frames"}. push: one thread.
class Recorder {
 public:
  static Result<std::unique_ptr<Recorder>> create(const std::string& folder,
                                                  const std::string& name);
  ~Recorder();  ///< finishes both files

  /// `start_ns` of the first frame counts.
  void push(const AudioFrame& frame, std::int64_t start_ns);
  void finish();

 private:
  struct File;
  explicit Recorder(std::unique_ptr<File> file, std::string sidecar);
  void write_sidecar();
  void drain();

  std::unique_ptr<File> file_;
  const std::string sidecar_;
  AudioFrameRing frames_{1024};
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> start_ns_{0};
  std::int64_t samples_ = 0;
  std::atomic<std::int64_t> dropped_{0};
  bool finished_ = false;
  std::thread thread_;
};

}  // namespace conclave::apps
