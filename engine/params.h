// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace conclave::engine {

/// Everything about the running engine that may change while it runs. Crosses into the audio thread
/// as one latest value; every change ramps, nothing clicks. Values out of range are clamped.
struct EngineParams {
  bool in_call = true;            ///< media takes and brings frames; losses count only then
  bool muted = false;             ///< the microphones' way to the far end fades out within 10 ms
  float speaker_gain_db = 0.0F;   ///< -60..+12 dB before the loudspeaker's limiter
  bool echo_cancellation = true;  ///< linear canceller; its filter keeps adapting while off
  bool residual_suppression = true;
  bool noise_suppression = true;
  float noise_reduction_db = 25.0F;       ///< most that noise is lowered, 0..40 dB
  bool learned_echo_mask = false;         ///< the learned mask helps against residual echo
  bool learned_noise_mask = true;         ///< and against noise; false: statistics alone
  float dereverberation_percent = 25.0F;  ///< of the room's late tail, 0..100
  bool comfort_noise = true;
  float low_cut_hz = 80.0F;  ///< rumble below is not sent, 0..200 Hz; 0: everything is. Not in
                             ///< Chain::kArray
  bool agc = true;
  float agc_target_dbfs = -23.0F;  ///< level of speech that the AGC aims at, -40..-10 dBFS
  float agc_max_gain_db = 18.0F;   ///< 0..30 dB
  bool satellites = true;          ///< false: the ring alone
  bool steering = true;            ///< false: look at fixed_azimuth_deg
  float fixed_azimuth_deg = 0.0F;  ///< [0, 360)
};

}  // namespace conclave::engine
