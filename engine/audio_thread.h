// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/audio_frame.h"
#include "base/latest_value.h"
#include "base/log.h"
#include "base/result.h"
#include "base/spsc_ring.h"
#include "drivers/audio_device.h"
#include "engine/ab_recorder.h"
#include "engine/cpu_histogram.h"
#include "engine/engine.h"
#include "engine/satellite_inputs.h"
#include "engine/seccomp_filter.h"

namespace conclave::engine {

struct AudioThreadConfig {
  EngineConfig engine{};
  int priority = 70;                       ///< SCHED_FIFO, where the system grants it
  double recorder_seconds = 30.0;          ///< of the A/B recorder
  std::optional<SeccompAction> seccomp{};  ///< see restrict_audio_thread()
};

/// Something that happened on the audio thread; `device` 0 is the ring, 1 + s satellite s.
struct EngineEvent {
  enum class Kind : std::int32_t {
    kStarted,
    kXrun,
    kUnplugged,
    kRecovered,
    kEnded,
    kSatelliteLost,
    kSatelliteBack,
    kNoRealtime,     ///< SCHED_FIFO or locked memory was refused; sound goes on without
    kFilterRefused,  ///< the system call filter could not be installed
  };
  Kind kind{};
  std::int32_t device = 0;
  std::uint64_t block = 0;
};

/// Drives an Engine from devices: reads the ring (whose clock paces everything), takes what the
/// satellites have, plays and sends. When a device fails, silence flows on at the usual pace until
/// it is back; the engine is reset where the alignment of its signals was lost.
///
/// Threads: create(), start(), stop() and the destructor on a control thread. set_params() on one
/// thread, read_metrics() on one thread, poll_event() on one thread. `uplink` is filled (its
/// producer is the audio thread) and `downlink` emptied; both may be null and must outlive this.
class AudioThread {
 public:
  static Result<std::unique_ptr<AudioThread>> create(
      const AudioThreadConfig& config, std::unique_ptr<drivers::AudioDevice> ring,
      std::vector<std::unique_ptr<drivers::AudioDevice>> satellites, AudioFrameRing* uplink,
      AudioFrameRing* downlink);
  ~AudioThread();
  AudioThread(const AudioThread&) = delete;
  AudioThread& operator=(const AudioThread&) = delete;

  /// Starts the devices and the thread. A satellite that does not start is told by an event and
  /// tried again; the ring must start.
  Status start();
  /// Idempotent.
  void stop() noexcept;
  /// The ring's device has come to its end (a file), or stop() was called.
  bool finished() const noexcept { return finished_.load(std::memory_order_acquire); }

  void set_params(const EngineParams& params) noexcept { params_.publish(params); }
  const EngineMetrics& read_metrics() noexcept { return metrics_.read(); }
  bool poll_event(EngineEvent& event) noexcept { return events_.try_pop(event); }
  /// Any thread; aligned with each other.
  AbRecorder::Recording copy_recording(double seconds) const {
    return recorder_->copy_last(seconds);
  }
  /// Writes what the audio thread had to say. Regularly, on one thread.
  void drain_log() { log_.drain("audio"); }
  int latency_frames() const { return engine_->latency_frames(); }
  int hop() const { return engine_->hop(); }

 private:
  AudioThread(const AudioThreadConfig& config, std::unique_ptr<drivers::AudioDevice> ring,
              std::vector<std::unique_ptr<drivers::AudioDevice>> satellites, AudioFrameRing* uplink,
              AudioFrameRing* downlink);
  Status build();

  // Audio thread.
  void run(std::promise<Status> started) noexcept;
  bool block() noexcept;
  drivers::IoStatus read_ring() noexcept;
  drivers::IoStatus recover_ring() noexcept;
  void lose_ring(drivers::IoStatus status) noexcept;
  void silent_block(std::int64_t now_ns) noexcept;
  void read_satellites() noexcept;
  void take_downlink() noexcept;
  void put_uplink(std::int64_t captured_ns, bool silence) noexcept;
  void account(std::int64_t wall_begin_ns, std::int64_t cpu_begin_ns) noexcept;
  void publish() noexcept;
  void post(EngineEvent::Kind kind, int device) noexcept;

  AudioThreadConfig config_;
  std::unique_ptr<drivers::AudioDevice> ring_;
  std::vector<std::unique_ptr<drivers::AudioDevice>> satellites_;
  AudioFrameRing* uplink_;
  AudioFrameRing* downlink_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<SatelliteInputs> satellite_inputs_;
  std::unique_ptr<AbRecorder> recorder_;
  LatestValue<EngineParams> params_;
  LatestValue<EngineMetrics> metrics_;
  SpscRing<EngineEvent> events_{64};
  log::RealtimeLog log_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> finished_{false};

  // Audio thread's own.
  FrameBuffer capture_;    // ring and satellites x hop
  FrameBuffer far_;        // 1 x hop
  FrameBuffer playback_;   // the device's playback channels x hop
  FrameBuffer play_mono_;  // 1 x hop
  FrameBuffer send_;       // 1 x hop
  FrameBuffer satellite_in_;
  drivers::IoInfo io_;
  EngineMetrics counters_;  // its AudioThread part
  std::uint64_t blocks_ = 0;
  std::int64_t latency_ns_ = 0;
  CpuHistogram cpu_;
  std::uint64_t sent_frames_ = 0;
  bool in_call_;  // somebody at the other end of the queues
  std::array<bool, kMaxSatellites> satellite_lost_{};
  std::int64_t next_block_ns_ = 0;  // pace while there is no device
  std::int64_t second_begin_ns_ = 0;
  std::int64_t second_cpu_ns_ = 0;
  bool ring_lost_ = false;
};

}  // namespace conclave::engine
