// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "base/frame_view.h"
#include "base/result.h"
#include "dsp/transform/stft.h"
#include "engine/engine.h"

namespace conclave::engine {

/// Repeats on one component of a recording (talker, interferer, noise, ...) what the engine just
/// decided for the whole: the same beam weights, satellite gains, spectral gains and level gains.
/// All of these are linear in the signal once they are frozen, so the shadows of components that
/// add up to the capture add up to what was sent, up to rounding (-130 dB).
///
/// What is not a filter of the capture has no shadow of its own: the canceller's echo estimate is
/// subtracted (feed decisions().echo_removed, negated, to a shadow to see it), and comfort noise is
/// added. The level gains are read off as output over input where the input is not zero.
///
/// One for each component; process() after Engine::process() of the same block, on its thread.
class Shadow {
 public:
  static Result<std::unique_ptr<Shadow>> create(const Engine& engine);
  /// component: the engine's capture channels (on the ring's clock); out: 1 x hop.
  void process(const Engine::Decisions& decided, ConstFrameView component, FrameView out) noexcept;

 private:
  explicit Shadow(const Engine& engine);

  int ring_;
  int sats_;
  int lines_;
  std::unique_ptr<dsp::StftAnalysis> analysis_;
  std::unique_ptr<dsp::StftSynthesis> synthesis_;
  SpectrumBuffer spectra_;
  SpectrumBuffer mixed_;
  FrameBuffer time_;
  std::vector<float> component_past_;  // level_delay + hop, newest last
  std::vector<float> whole_past_;      // the same of the engine's level_in
  float gain_ = 1.0F;                  // last one that could be read
};

}  // namespace conclave::engine
