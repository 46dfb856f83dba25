// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace conclave::engine {

/// The last seconds of the raw first microphone, of what was sent and of what the loudspeaker
/// played, for the A/B player and for measuring a call. The audio thread writes and never waits;
/// one or more other threads copy out without a lock. Samples are relaxed atomics (plain moves on
/// every machine we build for); a copy that the writer has overtaken is noticed and done again.
class AbRecorder {
 public:
  /// `latency_frames`: what is sent comes that many samples after the microphone.
  AbRecorder(int sample_rate, double seconds, int latency_frames);

  /// Audio thread: one hop of each. `time_ns`: monotonic time of the hop's last sample.
  void write(std::span<const float> raw, std::span<const float> sent, std::span<const float> played,
             std::int64_t time_ns) noexcept;

  struct Recording {
    int sample_rate = 0;
    std::vector<float> raw;  ///< same length as sent, aligned with it sample by sample
    std::vector<float> sent;
    std::vector<float> played;  ///< handed to the loudspeaker in the same hops as raw
    std::int64_t start_ns = 0;  ///< monotonic time of the first sample, true to one hop
  };
  /// Other threads: at most the last `seconds`, less where less was heard. Allocates.
  Recording copy_last(double seconds) const;

 private:
  static void copy(const std::atomic<float>* ring, std::size_t capacity, std::uint64_t first,
                   std::span<float> out);

  int sample_rate_;
  std::uint64_t latency_;
  std::uint64_t longest_;   // most samples that copy_last gives
  std::uint64_t capacity_;  // longest + latency + a margin that the writer may use up meanwhile
  std::unique_ptr<std::atomic<float>[]> raw_;
  std::unique_ptr<std::atomic<float>[]> sent_;
  std::unique_ptr<std::atomic<float>[]> played_;
  std::atomic<std::int64_t> time_ns_{0};
  std::atomic<std::uint64_t> written_{0};
};

}  // namespace conclave::engine
