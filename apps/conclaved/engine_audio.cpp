// SPDX-License-Identifier: Apache-2.0
#include "apps/conclaved/engine_audio.h"

#include "base/clock.h"
#include "base/log.h"
#include "drivers/alsa/alsa_device.h"

namespace conclave::apps {
namespace {

std::string_view name_of(engine::EngineEvent::Kind kind) {
  using Kind = engine::EngineEvent::Kind;
  switch (kind) {
    case Kind::kStarted:
      return "sound started";
    case Kind::kXrun:
      return "sound card lost samples";
    case Kind::kUnplugged:
      return "sound card is gone";
    case Kind::kRecovered:
      return "sound card is back";
    case Kind::kEnded:
      return "sound ended";
    case Kind::kSatelliteLost:
      return "satellite is gone";
    case Kind::kSatelliteBack:
      return "satellite is back";
    case Kind::kNoRealtime:
      return "no real-time priority; sound goes on without";
    case Kind::kFilterRefused:
      return "no system call filter; sound goes on without";
  }
  return "audio event";
}

}  // namespace

Result<std::unique_ptr<EngineAudio>> EngineAudio::create(const SoundConfig& config,
                                                         AudioFrameRing& uplink,
                                                         AudioFrameRing& downlink) {
  engine::Profile profile = engine::single_microphone_profile();
  if (!config.profile.empty()) {
    CONCLAVE_TRY(profile, engine::load_profile(config.profile));
  }
  const int wanted = static_cast<int>(config.satellites.size());
  if (wanted > profile.satellites()) {
    return Error{"there are " + std::to_string(wanted) + " satellite cards, but the profile " +
                 config.profile + " has places for " + std::to_string(profile.satellites()) +
                 "; leave some out or extend the profile"};
  }
  // Places without a card would be channels without sound.
  profile.geometry.satellites.resize(config.satellites.size());

  drivers::AlsaConfig ring;
  ring.capture_pcm = ring.playback_pcm = config.ring;
  ring.format.sample_rate = config.sample_rate;
  ring.format.capture_channels = profile.ring_mics();
  ring.format.playback_channels = 1;
  ring.format.period_frames = config.sample_rate / kFramesPerSecond;
  CONCLAVE_TRY(std::unique_ptr<drivers::AudioDevice> ring_device,
               drivers::AlsaDevice::create(ring));
  std::vector<std::unique_ptr<drivers::AudioDevice>> satellites;
  for (const std::string& name : config.satellites) {
    drivers::AlsaConfig satellite;
    satellite.capture_pcm = name;
    satellite.format.sample_rate = config.sample_rate;
    satellite.format.capture_channels = 1;
    satellite.format.period_frames = config.sample_rate / kFramesPerSecond;
    CONCLAVE_TRY(std::unique_ptr<drivers::AudioDevice> device,
                 drivers::AlsaDevice::create(satellite));
    satellites.push_back(std::move(device));
  }

  auto audio = std::make_unique<EngineAudio>();
  for (std::size_t i = 0; i < profile.geometry.ring.size(); ++i) {
    const auto& p = profile.geometry.ring[i];
    audio->inventory_.microphones.push_back(
        {"Ring " + std::to_string(i + 1), false, p.x, p.y, p.z});
  }
  for (std::size_t i = 0; i < profile.geometry.satellites.size(); ++i) {
    const auto p = profile.geometry.satellites[i].value_or(dsp::Position{});
    audio->inventory_.microphones.push_back(
        {"Satellite " + std::to_string(i + 1), true, p.x, p.y, p.z});
  }
  audio->inventory_.ring_name = config.ring;
  audio->inventory_.satellite_names = config.satellites;

  engine::AudioThreadConfig thread;
  thread.engine.sample_rate = config.sample_rate;
  thread.engine.geometry = profile.geometry;
  thread.engine.echo_tail_ms = config.echo_tail_ms;
  thread.engine.params = config.params;
  CONCLAVE_TRY(audio->thread_,
               engine::AudioThread::create(thread, std::move(ring_device), std::move(satellites),
                                           &uplink, &downlink));
  return audio;
}

control::AudioPort::Recording EngineAudio::recording(double seconds) const {
  auto copy = thread_->copy_recording(seconds);
  return {copy.sample_rate, std::move(copy.raw), std::move(copy.sent), std::move(copy.played),
          copy.start_ns};
}

bool EngineAudio::log_directions(const std::string& path) {
  directions_.open(path, std::ios::trunc);
  directions_ << "t_ns,azimuth_deg,activity\n";
  return directions_.good();
}

const engine::EngineMetrics& EngineAudio::metrics() {
  const auto& metrics = thread_->read_metrics();
  if (directions_.is_open() && metrics.blocks != logged_block_) {
    logged_block_ = metrics.blocks;
    directions_ << SystemClock::now() << ',' << metrics.azimuth_deg << ',' << metrics.activity
                << '\n';
  }
  return metrics;
}

void EngineAudio::drain() {
  thread_->drain_log();
  engine::EngineEvent event;
  while (thread_->poll_event(event)) {
    log::info("audio", name_of(event.kind), {{"device", event.device}});
  }
}

}  // namespace conclave::apps
