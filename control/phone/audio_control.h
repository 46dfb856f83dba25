// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "control/phone/audio_port.h"
#include "control/settings/registry.h"
#include "control/state/state_tree.h"

namespace conclave::control {

/// What the sound cards are, for the state tree.
struct AudioInventory {
  struct Microphone {
    std::string label;
    bool satellite = false;
    double x = 0, y = 0, z = 0;  ///< metres
  };
  std::vector<Microphone> microphones;
  std::string ring_name;
  std::vector<std::string> satellite_names;
};

/// Owns the audio settings: turns them into engine parameters, and the engine's metrics into meter
/// frames (20 Hz) and state (2 Hz; a device that goes or comes at once). Control loop.
class AudioControl {
 public:
  using MeterSink = std::function<void(std::string frame)>;
  AudioControl(Registry& settings, StateTree& state, AudioPort* port, AudioInventory inventory);

  void set_meter_sink(MeterSink sink) { sink_ = std::move(sink); }
  void set_muted(bool muted);
  void set_call_active(bool active);
  /// After a change of settings.
  void changed(std::span<const Key> keys);
  /// Every 50 ms.
  void tick();
  const engine::EngineMetrics& metrics() const { return metrics_; }

 private:
  void apply();
  void publish_inventory();
  void publish_devices();
  void publish_figures();

  Registry* settings_;
  StateTree* state_;
  AudioPort* port_;
  AudioInventory inventory_;
  MeterSink sink_;
  engine::EngineParams params_;
  engine::EngineMetrics metrics_;
  bool call_active_ = false;
  std::uint32_t sequence_ = 0;
  nlohmann::json devices_;
};

}  // namespace conclave::control
