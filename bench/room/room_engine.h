// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/frame_view.h"
#include "base/spsc_ring.h"
#include "bench/room/card_stream.h"
#include "bench/room/simulator.h"
#include "bench/room/sinc.h"

namespace conclave::bench::room {

/// One sound card of the room: a clock, at most one open stream in each direction.
struct RoomCard {
  std::string name;  ///< "ring", "sat1"
  int capture_channels = 0;
  int playback_channels = 0;
  double ppm = 0;
  bool plugged = true;
  std::int64_t stalled_until_ns = 0;
  std::unique_ptr<CardStream> capture;
  std::unique_ptr<CardStream> playback;
};

struct TruthRecord {
  std::int64_t time_ns = 0;
  Truth truth;
};

/// Moves the room's time and its cards. run() has a thread of its own; everything else is called by
/// the server's thread. What both touch is under `lock()`, held for one block's computation.
class RoomEngine {
 public:
  RoomEngine(std::unique_ptr<Simulator> simulator, bool virtual_time, bool real_time_priority);

  /// The thread's body.
  void run();
  void quit();
  /// Virtual time: a client has moved.
  void nudge();

  std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }
  std::vector<RoomCard>& cards() { return cards_; }
  RoomCard* card(const std::string& name);
  Simulator& simulator() { return *simulator_; }
  void set_ppm(RoomCard& card, double ppm);

  bool virtual_time() const { return virtual_time_; }
  /// CLOCK_MONOTONIC of the room's sample 0; 0 before it runs.
  std::int64_t start_ns() const { return start_ns_.load(std::memory_order_acquire); }
  bool next_truth(TruthRecord& record) { return truth_.try_pop(record); }

  struct Load {
    std::uint64_t blocks = 0;
    std::uint64_t late = 0;   ///< blocks that began more than a block after their time
    double core_percent = 0;  ///< CPU time of the room's thread
    double block_us_mean = 0;
    double block_us_max = 0;
    double wake_us_p50 = 0;  ///< lateness of the wake-up
    double wake_us_p99 = 0;
    double wake_us_max = 0;
  };
  Load load();

 private:
  void tick(std::int64_t block_time_ns) noexcept;
  bool can_advance(std::int64_t now_ns) noexcept;
  void note_truth(std::int64_t block_time_ns) noexcept;
  void note_lateness(std::int64_t late_ns) noexcept;

  std::unique_ptr<Simulator> simulator_;
  const bool virtual_time_;
  const bool real_time_priority_;
  std::mutex mutex_;
  std::condition_variable moved_;
  std::vector<RoomCard> cards_;
  std::vector<ClockSkew> clocks_;
  FrameBuffer far_;
  FrameBuffer microphones_;
  FrameBuffer satellite_;
  SpscRing<TruthRecord> truth_{1024};
  TruthRecord last_truth_;
  bool any_truth_ = false;
  std::atomic<bool> quit_{false};
  std::atomic<std::int64_t> start_ns_{0};
  std::atomic<double> ring_ppm_{0};
  Load load_;
  std::int64_t cpu_start_ns_ = 0;
  std::array<std::uint32_t, 256> lateness_{};  // logarithmic, eighths of an octave from 1 us
};

}  // namespace conclave::bench::room
