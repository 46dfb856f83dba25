// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::dsp {

struct EchoCancellerConfig {
  int sample_rate = 48000;   ///< 16000 or 48000
  int microphones = 1;       ///< 1..16
  int hop = 480;             ///< samples in a block, 64..1024
  float tail_ms = 200;       ///< echo path length, hop..500 ms
  float high_tail_ms = 500;  ///< the same above 8 kHz, where rooms fade sooner; at most tail_ms
  int references = 1;        ///< far-end channels, 1..4
};

struct EchoCancellerParams {
  bool enabled = true;  ///< false: microphones pass untouched (faded within a block), filter rests
  bool adapt = true;    ///< false: the filter is applied but frozen
};

struct EchoCancellerMetrics {
  static constexpr int kMaxMicrophones = 16;
  int microphones = 0;
  /// Echo return loss enhancement (microphone over error) of the linear filter, smoothed over about
  /// 0.5 s of blocks in which the far end talks; dB.
  std::array<float, kMaxMicrophones> erle_db{};
  float mean_erle_db = 0;
  float erle_now_db = 0;     ///< of the first microphone over the last 0.1 s or so
  bool far_active = false;   ///< the reference of this block carries sound
  float double_talk = 0;     ///< 0..1: how much of the error is not explained by echo
  float filter_norm_db = 0;  ///< energy of the echo path estimate, mean of the microphones
  float tonality = 0;        ///< 0..1: the reference is a few lines only; adaptation is held back
  int misfits = 0;           ///< times the filter added more than it took: the path has changed
  int path_changes = 0;      ///< recoveries from a changed echo path since reset
  int recoveries = 0;        ///< recoveries from invalid input or a diverged filter since reset
};

/// Removes the loudspeaker's echo from many microphones with one far end.
///
/// A partitioned-block frequency-domain Kalman filter for each microphone (Enzner and Vary,
/// "Frequency-domain adaptive Kalman filter for acoustic echo control in hands-free telephones",
/// Signal Processing 86, 2006; Kuech, Mabande and Enzner, "State-space architecture of the
/// partitioned-block-based acoustic echo controller", ICASSP 2014), overlap-save, partitions one
/// hop long. The far-end spectra are computed once for all microphones. A fast shadow filter on the
/// first microphone detects a changed echo path and lifts the uncertainty of the main filters,
/// which the Kalman filter alone would do slowly (Yang, Enzner and Yang, IEEE SPL 24, 2017).
///
/// No delay: out = microphone - echo estimate. The reference must lead the echo by 0..tail. A
/// microphone's DC offset is taken off when it is beyond 0.03 of full scale.
/// Invalid input (NaN, infinite, absurdly large) is taken as silence, never reaches the state and
/// never leaves the block. Deterministic.
///
/// create() any thread; everything else on the audio thread, without allocation.
class EchoCanceller {
 public:
  static Result<std::unique_ptr<EchoCanceller>> create(const EchoCancellerConfig& config);
  ~EchoCanceller();
  EchoCanceller(const EchoCanceller&) = delete;
  EchoCanceller& operator=(const EchoCanceller&) = delete;

  void set_params(const EchoCancellerParams& params) noexcept;
  /// Forgets the echo paths and all signal history.
  void reset() noexcept;
  /// mics: microphones x hop; far: references x hop; out and echo: microphones x hop. out may be
  /// mics (in place); echo is the estimate that was subtracted.
  void process(ConstFrameView mics, ConstFrameView far, FrameView out, FrameView echo) noexcept;
  /// The references come `samples` (0..max_shift()) later from the next block on: moves the echo
  /// paths and the history along, so that a converged filter stays so.
  void delay_reference(int samples) noexcept;
  int max_shift() const;
  EchoCancellerMetrics metrics() const noexcept;
  int latency_frames() const { return 0; }
  /// Partitions of the echo path in use.
  int partitions() const;

 private:
  class Impl;
  explicit EchoCanceller(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace conclave::dsp
