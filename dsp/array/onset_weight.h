// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "base/frame_view.h"
#include "dsp/enhance/noise_tracker.h"

namespace conclave::dsp {

/// How much each bin of the present frame tells about a talker's direction: near 1 where direct
/// sound stands above both noise and the tail of what was said before, 0 elsewhere.
///
/// Noise: NoiseTracker on the mean power over the ring. Late reverberation: what the room keeps of
/// the power some 40 ms ago (Lebart, Boucher & Denbigh, "A new method based on spectral subtraction
/// for speech dereverberation", Acta Acustica 87, 2001) with a decay that suits meeting rooms. The
/// ear does likewise (precedence): directions are taken from onsets.
///
/// A part of DirectionFinder. The constructor allocates; update() does not.
class OnsetWeight {
 public:
  OnsetWeight() = default;
  OnsetWeight(int first_bin, int bins, float hop_seconds);

  void reset() noexcept;
  /// ring: microphones x all bins, finite. With `adapt` false the noise holds.
  void update(ConstSpectrumView ring, bool adapt) noexcept;
  /// One value 0..1 for each used bin.
  std::span<const float> weight() const noexcept { return weight_[0]; }
  /// Mean presence of speech over the used bins (Gerkmann & Hendriks), 0..1.
  float presence() const noexcept { return presence_; }
  bool started() const noexcept { return tracker_.started(); }

 private:
  static constexpr int kHistory = 16;
  int first_bin_ = 0;
  int bins_ = 0;
  int delay_ = 4;
  float decay_ = 0.5F;
  float keep_ = 0.4F;
  int at_ = 0;
  float presence_ = 0;
  NoiseTracker tracker_;
  FrameBuffer power_;
  FrameBuffer smooth_;
  FrameBuffer past_;  // kHistory x bins, ring buffer of smoothed power
  FrameBuffer weight_;
};

}  // namespace conclave::dsp
