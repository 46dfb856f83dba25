// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

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
