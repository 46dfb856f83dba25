// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "drivers/audio_device.h"

namespace conclave::drivers {

struct AlsaConfig {
  std::string capture_pcm{};   ///< ALSA name ("hw:1", "conclave_ring"); empty: no capture
  std::string playback_pcm{};  ///< may be the same card's; empty: no playback
  AudioFormat format{};        ///< channels of an unnamed direction are ignored
  /// Silence queued at start. A hop is written after a hop was read, so that lead - period_frames
  /// are still queued then: the latency of playback, and what the phone may be late by.
  /// -1: (periods - 1) * period_frames.
  int playback_lead_frames = -1;
};

/// A sound card by ALSA's mmap access: hardware, or the virtual room's plugin, or any other PCM.
///
/// Capture and playback of one card start together (linked where the PCM can do it, otherwise one
/// after the other with the queue watched: when it has drifted by more than a period, samples are
/// left out or silence is put in, and drift_corrections() counts it). Sample formats float, S32,
/// S24 and S16 are converted here. The capture buffer is as long as the card allows up to 200 ms:
/// a long one costs no latency and survives a stall.
///
/// read(), write() and read_available() allocate nothing themselves. The calls into ALSA are made
/// under realtime::Exempt inside this class: alsa-lib takes its own mutex and makes the device's
/// system calls, and a caller need not (but may) lift the mark as well. recover() after an unplug
/// opens the PCM again, which allocates inside alsa-lib; it tries at most every 100 ms.
class AlsaDevice final : public AudioDevice {
 public:
  /// Opens and configures. Errors name the PCM and what it can do instead.
  static Result<std::unique_ptr<AlsaDevice>> create(const AlsaConfig& config);
  ~AlsaDevice() override;

  const AudioFormat& format() const noexcept override;
  std::string name() const override;
  Status start() override;
  void stop() noexcept override;
  IoStatus read(FrameView capture, IoInfo& info) noexcept override;
  IoStatus write(ConstFrameView playback) noexcept override;
  int read_available(FrameView capture) noexcept override;
  IoStatus recover() noexcept override;

  /// True when ALSA starts both directions as one.
  bool linked() const noexcept;
  /// Times the playback queue had to be brought back to its length. Audio thread.
  std::uint64_t drift_corrections() const noexcept;
  /// For people: sample format and buffer sizes in use.
  std::string describe() const;

 private:
  class Impl;
  explicit AlsaDevice(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace conclave::drivers
