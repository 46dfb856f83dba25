// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::dsp {

struct AgcConfig {
  int sample_rate = 48000;
  int hop = 480;
};

struct AgcParams {
  bool enabled = true;      ///< off: the gain ramps to 0 dB
  float target_dbfs = -23;  ///< speech level aimed at, K-weighted RMS while talking, -40..-6
  float max_gain_db = 24;   ///< 0..40
  float max_cut_db = 12;    ///< 0..40
};

struct AgcMetrics {
  float gain_db = 0;
  float speech_dbfs = -120;  ///< K-weighted level of speech before the gain; -120: none heard yet
  float input_dbfs = -120;   ///< K-weighted level of the last frame
};

/// Slow automatic level control for one voice channel.
///
/// The level is that of speech only: K-weighted (ITU-R BS.1770-4) frame power enters an
/// integrator while `activity` says that somebody talks and the frame is not far below the speech
/// level (relative gate, BS.1770-4 section 2.8). In pauses the gain holds, so noise is not pumped
/// up; the gain moves by at most 6 dB/s upwards and 18 dB/s downwards and is interpolated sample by
/// sample.
///
/// create(): any thread. The rest: the audio thread.
class Agc {
 public:
  static Result<std::unique_ptr<Agc>> create(const AgcConfig& config);
  ~Agc();
  Agc(const Agc&) = delete;
  Agc& operator=(const Agc&) = delete;

  void set_params(const AgcParams& params) noexcept;
  void reset() noexcept;
  /// `inout` 1 x hop; `activity` 0..1, how likely near speech is in it. NaN or Inf samples become
  /// 0.
  void process(FrameView inout, float activity) noexcept;
  const AgcMetrics& metrics() const noexcept;
  static constexpr int latency_frames() noexcept { return 0; }

 private:
  struct State;
  explicit Agc(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace conclave::dsp
