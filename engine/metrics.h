// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace conclave::engine {

inline constexpr int kMaxMics = 16;  ///< ring and satellites together
inline constexpr int kMaxSatellites = 4;
inline constexpr int kMaxTracks = 4;
inline constexpr float kSilenceDb = -120.0F;  ///< floor of every level in dBFS

/// One talker who is held to be active.
struct TrackMetrics {
  std::int32_t id = 0;       ///< grows with each new talker; 0 = no track in this slot
  float azimuth_deg = 0.0F;  ///< [0, 360), counter-clockwise from the ring's x axis
  float elevation_deg = 0.0F;
  float activity = 0.0F;  ///< 0..1
};

struct SatelliteMetrics {
  float ppm = 0.0F;            ///< its clock against the ring's: positive = runs fast
  float latency_ms = 0.0F;     ///< of our own buffer for it
  float gain_db = kSilenceDb;  ///< its share in what is sent, kSilenceDb when not used
  /// What its card is late by against the ring, as found in the sound (the sound's own way taken
  /// off as well as the places are known), and how much more sensitive it is than the ring.
  float offset_ms = 0.0F;
  float sensitivity_db = 0.0F;
  bool offset_known = false;
  bool synced = false;
  bool present = false;  ///< its card delivers samples
  std::uint64_t underruns = 0;
};

/// What the audio thread's CPU time per block looks like, in microseconds.
struct CpuMetrics {
  float last_us = 0.0F;
  float p50_us = 0.0F;
  float p99_us = 0.0F;
  float p9999_us = 0.0F;
  float max_us = 0.0F;
};

enum class DeviceState : std::int32_t { kStopped, kRunning, kRecovering, kUnplugged };

/// The engine at the end of a block. Crosses from the audio thread as one latest value, so readers
/// see the newest and never wait. Levels in dBFS (RMS of full-scale sine = -3.01) of the last
/// block unless said; counters since start.
struct EngineMetrics {
  // Filled by Engine.
  std::int32_t mic_count = 0;  ///< ring first, satellites after
  std::int32_t ring_mics = 0;
  std::array<float, kMaxMics> mic_rms_db{};
  std::array<float, kMaxMics> mic_peak_db{};
  std::array<std::uint32_t, kMaxMics> mic_clips{};  ///< samples at full scale
  float speaker_rms_db = kSilenceDb;
  float speaker_peak_db = kSilenceDb;
  float sent_rms_db = kSilenceDb;
  float sent_peak_db = kSilenceDb;
  float azimuth_deg = 0.0F;  ///< where the beam looks, [0, 360)
  float elevation_deg = 0.0F;
  float activity = 0.0F;  ///< near-end speech, 0..1
  std::array<TrackMetrics, kMaxTracks> tracks{};
  float erle_db =
      0.0F;  ///< microphone 0's echo against what is sent, while only the far end talks; ~1 s
  float linear_erle_db = 0.0F;          ///< the canceller's share
  float residual_echo_db = kSilenceDb;  ///< level of what is sent while only the far end talks
  float aec_delay_ms = 0.0F;            ///< loudspeaker to microphone, as found; < 0 while unknown
  float aec_drift_ppm = 0.0F;           ///< microphone's clock against the reference's; 0: unknown
  bool aec_resampling = false;          ///< the reference is brought to the microphone's clock
  std::int32_t aec_delay_jumps = 0;     ///< of the delay, since the last reset
  float aec_delay_confidence = 0.0F;    ///< 0..1
  float aec_applied_delay_ms = 0.0F;    ///< by which the reference is held back
  /// Decisions of the canceller since the last reset: the shadow filter taken over, the filter
  /// found to add echo, and starts anew after invalid input or divergence.
  std::int32_t aec_path_changes = 0;
  std::int32_t aec_misfits = 0;
  std::int32_t aec_recoveries = 0;
  float aec_tonality = 0.0F;        ///< 0..1: music holds the adaptation back
  float aec_filter_norm_db = 0.0F;  ///< energy of the echo path's estimate
  float near_probability = 0.0F;    ///< of a near talker while the far end sounds, 0..1
  float echo_likeness = 0.0F;       ///< 0..1 that what is left follows the far end's envelope
  float leakage_db = 0.0F;          ///< residual echo over echo estimate
  float suppressor_gain_db = 0.0F;  ///< of the last block
  bool near_active = false;
  bool far_active = false;
  bool double_talk = false;
  bool muted = false;  ///< the ramp has reached silence
  float agc_gain_db = 0.0F;
  float limiter_gain_db = 0.0F;
  std::array<SatelliteMetrics, kMaxSatellites> satellites{};
  std::uint64_t blocks = 0;

  // Filled by AudioThread.
  DeviceState device_state = DeviceState::kStopped;
  std::uint64_t late = 0;  ///< blocks that took longer than 10 ms of wall-clock time
  std::uint64_t xruns = 0;
  std::uint64_t unplugs = 0;
  std::uint64_t uplink_overruns = 0;     ///< in a call, frames that media did not take
  std::uint64_t downlink_underruns = 0;  ///< in a call, blocks that media had none for
  CpuMetrics cpu;
  float core_percent = 0.0F;  ///< CPU time of the audio thread over wall-clock time, last second
};

}  // namespace conclave::engine
