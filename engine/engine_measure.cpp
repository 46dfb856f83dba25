// SPDX-License-Identifier: Apache-2.0
// What the engine tells of each block.
#include <algorithm>
#include <cmath>

#include "engine/engine.h"

namespace conclave::engine {
namespace {

// A talker who has been there that long has filled the averages of the satellites' clocks.
constexpr int kSteadyBlocks = 250;
constexpr float kSteadyDeg = 15.0F;
constexpr float kShortWayMs = 1.0F;

// How much later a talker's sound comes to a satellite than to the ring; negative when he sits at
// it. How far away he is nobody knows: people sit at the edge of the table, satellites lie in
// front of them.
float way_to_satellite_ms(const dsp::Position& satellite, float azimuth_deg, double speed) {
  constexpr double kBehindSatellite = 0.6;
  constexpr double kNearest = 1.5;
  const auto towards = dsp::direction_vector(static_cast<double>(azimuth_deg), 0.0);
  const double along = satellite.x * towards.x + satellite.y * towards.y;
  const double far = std::max(along + kBehindSatellite, kNearest);
  const double to_satellite =
      std::hypot(towards.x * far - satellite.x, towards.y * far - satellite.y, satellite.z);
  return static_cast<float>((to_satellite - far) / speed * 1000.0);
}

}  // namespace

void Engine::measure(ConstFrameView capture, ConstFrameView playback,
                     ConstFrameView send) noexcept {
  auto& m = metrics_;
  mic_meter_->process(capture);
  speaker_meter_->process(playback.rows(0, 1));
  sent_meter_->process(send);
  for (int c = 0; c < mics_; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const auto level = mic_meter_->level(c);
    m.mic_rms_db[i] = level.rms_dbfs;
    m.mic_peak_db[i] = level.peak_dbfs;
    m.mic_clips[i] = static_cast<std::uint32_t>(level.clips);
  }
  m.speaker_rms_db = speaker_meter_->level(0).rms_dbfs;
  m.speaker_peak_db = speaker_meter_->level(0).peak_dbfs;
  m.sent_rms_db = sent_meter_->level(0).rms_dbfs;
  m.sent_peak_db = sent_meter_->level(0).peak_dbfs;

  m.near_active = near_activity_ > kNearProbable;
  m.activity = near_activity_;
  m.far_active = far_active_;
  m.double_talk = far_active_ && m.near_active;
  if (has_echo_control()) {
    echo_meter_.process(capture[0], send[0], far_only_);
    m.erle_db = echo_meter_.erle_db();
    m.residual_echo_db = echo_meter_.residual_db();
    const auto filter = canceller_->metrics();
    m.linear_erle_db = filter.mean_erle_db;
    m.aec_delay_ms = aligner_->delay_ms();
    m.aec_drift_ppm = aligner_->drift_ppm();
    m.aec_resampling = aligner_->resampling();
    m.aec_delay_jumps = aligner_->jumps();
    m.aec_delay_confidence = aligner_->confidence();
    m.aec_applied_delay_ms = static_cast<float>(aligner_->applied_samples()) * 1000.0F /
                             static_cast<float>(config_.sample_rate);
    m.aec_path_changes = filter.path_changes;
    m.aec_misfits = filter.misfits;
    m.aec_recoveries = filter.recoveries;
    m.aec_tonality = filter.tonality;
    m.aec_filter_norm_db = filter.filter_norm_db;
    const auto rest = residual_->metrics();
    m.near_probability = rest.near_probability;
    m.echo_likeness = rest.echo_likeness;
    m.leakage_db = rest.leakage_db;
    m.suppressor_gain_db = rest.mean_gain_db;
  }
  if (has_beams()) {
    const auto& direction = finder_->metrics();
    m.azimuth_deg = direction.azimuth_deg;
    m.elevation_deg = direction.elevation_deg;
    m.activity = direction.activity;
    for (std::size_t t = 0; t < m.tracks.size(); ++t) {
      const bool there = static_cast<std::int32_t>(t) < direction.track_count;
      const auto& track = direction.tracks[t];
      m.tracks[t] =
          there ? TrackMetrics{track.id, track.azimuth_deg, track.elevation_deg, track.activity}
                : TrackMetrics{};
    }
    measure_satellites(capture);
  }
  m.muted = params_.muted && mute_ramp_.settled();
  m.agc_gain_db = agc_ != nullptr ? agc_->metrics().gain_db : 0.0F;
  m.limiter_gain_db = limiter_ != nullptr ? limiter_->metrics().gain_db : 0.0F;
  ++m.blocks;
}

void Engine::measure_satellites(ConstFrameView capture) noexcept {
  if (sats_ == 0) return;
  ring_floor_.process(capture[0]);
  const auto& direction = finder_->metrics();
  const float turned = std::abs(std::remainder(direction.azimuth_deg - steady_azimuth_, 360.0F));
  if (!direction.valid || turned > kSteadyDeg) {
    steady_azimuth_ = direction.azimuth_deg;
    steady_blocks_ = 0;
  } else {
    ++steady_blocks_;
  }
  clocks_->process(capture.rows(0, 1), capture.rows(ring_, sats_), steady_blocks_ > kSteadyBlocks);
  for (int i = 0; i < sats_; ++i) {
    const auto s = static_cast<std::size_t>(i);
    auto& m = metrics_.satellites[s];
    const float share = mixer_->metrics().share[s + 1];
    m.gain_db = power_to_db(share * share);
    m.synced = sats_usable_[s];

    const auto& clock = clocks_->observation(i);
    m.ppm = clock.ppm_known ? clock.ppm : 0.0F;
    satellite_floor_[s].process(capture[ring_ + i]);
    const float ring = ring_floor_.power();
    const float satellite = satellite_floor_[s].power();
    if (ring > 0.0F && satellite > 0.0F) {
      m.sensitivity_db = power_to_db(satellite) - power_to_db(ring);
    }
    // Whose way is known, and short, tells how late the card is; other talkers tell it badly.
    const auto& place = config_.geometry.satellites[s];
    if (!clock.delay_known) continue;
    const float way =
        place && direction.valid
            ? way_to_satellite_ms(*place, direction.azimuth_deg, config_.geometry.speed_of_sound)
            : 0.0F;
    const bool trusted = steady_blocks_ > kSteadyBlocks && way < kShortWayMs;
    if (trusted || !m.offset_known || !satellite_heard_near_[s])
      offset_ms_[s] = clock.delay_ms - way;
    satellite_heard_near_[s] = satellite_heard_near_[s] || trusted;
    m.offset_ms = offset_ms_[s];
    m.offset_known = true;
  }
}

}  // namespace conclave::engine
