// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "base/realtime.h"
#include "drivers/alsa/alsa_device.h"

namespace conclave::drivers {

/// A room in a process of its own, and ALSA pointed at it.
class RoomProcess {
 public:
  explicit RoomProcess(bool virtual_time);
  ~RoomProcess();
  RoomProcess(const RoomProcess&) = delete;
  RoomProcess& operator=(const RoomProcess&) = delete;

  bool start();
  /// Kills it without warning.
  void kill();
  /// One command to the control socket; its answer.
  std::string control(const std::string& command) const;
  const std::string& directory() const { return directory_; }

 private:
  std::string directory_;
  bool virtual_time_;
  pid_t pid_ = -1;
};

/// One read or write as the audio thread does it: under the real-time guard, trying again when a
/// busy machine kept the room from delivering in time.
inline IoStatus patient_read(AlsaDevice& device, FrameView in, IoInfo& info) {
  const realtime::Scope real_time;
  IoStatus status = IoStatus::kTimeout;
  for (int n = 0; n < 100 && status == IoStatus::kTimeout; ++n) status = device.read(in, info);
  return status;
}
inline IoStatus patient_write(AlsaDevice& device, ConstFrameView out) {
  const realtime::Scope real_time;
  IoStatus status = IoStatus::kTimeout;
  for (int n = 0; n < 1000 && status == IoStatus::kTimeout; ++n) status = device.write(out);
  return status;
}

inline AlsaConfig ring_config(int periods = 3) {
  AlsaConfig config{.capture_pcm = "conclave_ring", .playback_pcm = "conclave_ring"};
  config.format = {.sample_rate = 48000,
                   .capture_channels = 8,
                   .playback_channels = 1,
                   .period_frames = 480,
                   .periods = periods};
  return config;
}

inline AlsaConfig satellite_config(const char* pcm) {
  AlsaConfig config{.capture_pcm = pcm};
  config.format.capture_channels = 1;
  return config;
}

}  // namespace conclave::drivers
