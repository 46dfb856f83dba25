// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::drivers {

/// The shape of a device's streams. Samples are planar float, full scale +-1.0.
struct AudioFormat {
  int sample_rate = 48000;    ///< Hz: 48000 or 16000
  int capture_channels = 1;   ///< 0 when the device only plays
  int playback_channels = 0;  ///< 0 when the device only captures
  int period_frames = 480;    ///< what one read() or write() moves: 10 ms
  int periods = 3;            ///< periods in the device's own buffer
};

enum class IoStatus {
  kOk,
  kXrun,       ///< samples were lost or late; recover() starts the streams again
  kUnplugged,  ///< the device is gone; recover() until it is back
  kEnd,        ///< nothing will ever come again (end of a file)
  kTimeout,    ///< the device did not deliver within its deadline; try again
};

/// What a read() tells beside the samples.
struct IoInfo {
  std::int64_t capture_time_ns = 0;  ///< monotonic time of the last sample read
  int delay_frames = 0;              ///< capture + playback delay as the device tells; 0 = unknown
  std::uint64_t xruns = 0;           ///< since start()
};

/// A sound card or what stands for one. The audio thread reads and writes one hop at a time and is
/// paced by read(): the device's clock is the engine's clock.
///
/// Threads: create, start(), stop() and name() on a control thread; read(), write(),
/// read_available() and recover() on the audio thread between start() and stop(), without
/// allocation, lock or log. They may make the system calls that the device needs (the caller lifts
/// the real-time mark around them) and no others.
class AudioDevice {
 public:
  AudioDevice() = default;
  AudioDevice(const AudioDevice&) = delete;
  AudioDevice& operator=(const AudioDevice&) = delete;
  virtual ~AudioDevice() = default;

  /// What was really opened; constant between start() and stop().
  virtual const AudioFormat& format() const noexcept = 0;
  /// For people: "conclave_ring", "recording.flac".
  virtual std::string name() const = 0;

  /// Starts capture and playback together; playback begins with silence that the device queues
  /// itself, so that capture and playback stay aligned.
  virtual Status start() = 0;
  virtual void stop() noexcept = 0;

  /// Blocks until `capture.frames()` samples of each capture channel are there. On anything but kOk
  /// the view's content is undefined. kTimeout after at most about 100 ms.
  virtual IoStatus read(FrameView capture, IoInfo& info) noexcept = 0;
  /// Queues one hop for the loudspeaker. Never blocks longer than a period.
  virtual IoStatus write(ConstFrameView playback) noexcept = 0;

  /// For a satellite's card, whose clock is its own: takes what is there now without blocking, at
  /// most `capture.frames()` samples, into the first columns of the view. Returns how many, 0 when
  /// none, or -1 when the device lost samples or is gone: call recover().
  virtual int read_available(FrameView capture) noexcept = 0;

  /// After kXrun or kUnplugged: brings the streams back. kOk: running again, signal alignment is
  /// lost. kUnplugged: still gone, ask again later. Never blocks longer than a period.
  virtual IoStatus recover() noexcept = 0;
};

}  // namespace conclave::drivers
