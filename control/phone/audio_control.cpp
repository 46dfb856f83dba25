// SPDX-License-Identifier: Apache-2.0
#include "control/phone/audio_control.h"

#include <algorithm>
#include <cmath>

#include "base/realtime.h"
#include "control/phone/meter_frame.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;

std::string_view name_of(engine::DeviceState state) {
  switch (state) {
    case engine::DeviceState::kRunning:
      return "running";
    case engine::DeviceState::kRecovering:
      return "recovering";
    case engine::DeviceState::kUnplugged:
      return "unplugged";
    case engine::DeviceState::kStopped:
      break;
  }
  return "stopped";
}

/// Two digits behind the point: more would change with every reading.
double brief(float value) { return std::round(static_cast<double>(value) * 100.0) / 100.0; }

}  // namespace

AudioControl::AudioControl(Registry& settings, StateTree& state, AudioPort* port,
                           AudioInventory inventory)
    : settings_(&settings), state_(&state), port_(port), inventory_(std::move(inventory)) {
  params_.in_call = false;
  publish_inventory();
  apply();
}

void AudioControl::publish_inventory() {
  Json microphones = Json::object();
  for (std::size_t i = 0; i < inventory_.microphones.size(); ++i) {
    const auto& m = inventory_.microphones[i];
    microphones[std::to_string(i)] = {{"label", m.label},
                                      {"kind", m.satellite ? "satellite" : "ring"},
                                      {"x", m.x},
                                      {"y", m.y},
                                      {"z", m.z}};
  }
  state_->publish({{"audio", {{"mics", std::move(microphones)}}}});
}

void AudioControl::apply() {
  const Registry& s = *settings_;
  params_.speaker_gain_db = static_cast<float>(s.get_int(Key::kAudioSpeakerVolume));
  params_.echo_cancellation = s.get_bool(Key::kAudioEchoCancellerEnabled);
  params_.residual_suppression = s.get_bool(Key::kAudioResidualEchoEnabled);
  params_.learned_echo_mask = s.get_bool(Key::kAudioResidualEchoLearned);
  params_.noise_suppression = s.get_bool(Key::kAudioNoiseSuppressionEnabled);
  params_.noise_reduction_db =
      static_cast<float>(s.get_int(Key::kAudioNoiseSuppressionMaxReduction));
  params_.learned_noise_mask = s.get_bool(Key::kAudioNoiseSuppressionLearned);
  params_.dereverberation_percent =
      static_cast<float>(s.get_int(Key::kAudioNoiseSuppressionDereverberation));
  params_.low_cut_hz = static_cast<float>(s.get_int(Key::kAudioLowCut));
  params_.agc = s.get_bool(Key::kAudioAgcEnabled);
  params_.agc_target_dbfs = static_cast<float>(s.get_int(Key::kAudioAgcTarget));
  params_.agc_max_gain_db = static_cast<float>(s.get_int(Key::kAudioAgcMaxGain));
  if (port_ != nullptr) port_->set_params(params_);
  state_->publish({{"audio", {{"speaker", {{"volume_db", s.get_int(Key::kAudioSpeakerVolume)}}}}}});
}

void AudioControl::set_muted(bool muted) {
  params_.muted = muted;
  if (port_ != nullptr) port_->set_params(params_);
}

void AudioControl::set_call_active(bool active) {
  if (active == call_active_) return;
  call_active_ = active;
  params_.in_call = active;
  if (port_ != nullptr) port_->set_params(params_);
}

void AudioControl::changed(std::span<const Key> keys) {
  const bool ours =
      std::any_of(keys.begin(), keys.end(), [](Key key) { return row_of(key).owner == "audio"; });
  if (ours) apply();
}

void AudioControl::tick() {
  if (port_ == nullptr) return;
  metrics_ = port_->metrics();
  port_->drain();
  ++sequence_;
  if (sink_) sink_(encode_meter_frame(metrics_, sequence_, call_active_));
  publish_devices();
  if (sequence_ % 10 == 0) publish_figures();
}

void AudioControl::publish_devices() {
  Json devices = Json::object();
  devices["ring"] = {{"name", inventory_.ring_name},
                     {"state", name_of(metrics_.device_state)},
                     {"xruns", metrics_.xruns},
                     {"unplugs", metrics_.unplugs}};
  for (std::size_t i = 0; i < inventory_.satellite_names.size(); ++i) {
    if (i >= metrics_.satellites.size()) break;
    const auto& s = metrics_.satellites[i];
    devices["sat" + std::to_string(i + 1)] = {{"name", inventory_.satellite_names[i]},
                                              {"state", s.present ? "running" : "unplugged"},
                                              {"synced", s.synced}};
  }
  if (devices == devices_) return;
  devices_ = devices;
  state_->publish({{"audio", {{"devices", std::move(devices)}}}});
}

void AudioControl::publish_figures() {
  const auto& m = metrics_;
  Json audio{{"engine",
              {{"blocks", m.blocks},
               {"late", m.late},
               {"xruns", m.xruns},
               {"violations", realtime::violations()},
               {"uplink_overruns", m.uplink_overruns},
               {"downlink_underruns", m.downlink_underruns},
               {"core_percent", brief(m.core_percent)},
               {"cpu_us",
                {{"p50", brief(m.cpu.p50_us)},
                 {"p99", brief(m.cpu.p99_us)},
                 {"p9999", brief(m.cpu.p9999_us)},
                 {"max", brief(m.cpu.max_us)},
                 {"last", brief(m.cpu.last_us)}}}}},
             {"echo", {{"erle_db", brief(m.erle_db)}}}};
  if (m.aec_delay_ms >= 0) audio["echo"]["delay_ms"] = brief(m.aec_delay_ms);
  for (std::size_t i = 0; i < inventory_.satellite_names.size() && i < m.satellites.size(); ++i) {
    audio["devices"]["sat" + std::to_string(i + 1)] = {
        {"ppm", brief(m.satellites[i].ppm)}, {"latency_ms", brief(m.satellites[i].latency_ms)}};
  }
  state_->publish({{"audio", std::move(audio)}});
}

}  // namespace conclave::control
