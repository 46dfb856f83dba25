// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/audio_frame.h"
#include "base/result.h"
#include "control/phone/audio_control.h"
#include "control/phone/audio_port.h"
#include "engine/audio_thread.h"
#include "engine/profile.h"

namespace conclave::apps {

struct SoundConfig {
  std::string ring;  ///< ALSA name
  std::vector<std::string> satellites;
  std::string profile;  ///< file; empty: one microphone
  int sample_rate = 48000;
  float echo_tail_ms = 200;
  engine::EngineParams params;
};

/// The sound cards and the engine on its audio thread, as the control plane sees them.
class EngineAudio final : public control::AudioPort {
 public:
  static Result<std::unique_ptr<EngineAudio>> create(const SoundConfig& config,
                                                     AudioFrameRing& uplink,
                                                     AudioFrameRing& downlink);
  ~EngineAudio() override { thread_->stop(); }
  Status start() { return thread_->start(); }
  void stop() { thread_->stop(); }

  void set_params(const engine::EngineParams& params) override { thread_->set_params(params); }
  const engine::EngineMetrics& metrics() override;
  /// From now on each look at the metrics leaves a line: where the phone believes the talker to be.
  bool log_directions(const std::string& path);
  Recording recording(double seconds) const override;
  void drain() override;

  const control::AudioInventory& inventory() const { return inventory_; }

 private:
  std::unique_ptr<engine::AudioThread> thread_;
  control::AudioInventory inventory_;
  std::ofstream directions_;
  std::uint64_t logged_block_ = 0;
};

}  // namespace conclave::apps
