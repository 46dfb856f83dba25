// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "base/frame_view.h"
#include "base/result.h"
#include "dsp/transform/real_fft.h"

namespace conclave::dsp {

/// Short-time spectra of several channels: window sqrt-Hann (periodic) over the newest 2 * hop
/// samples, zero-padded to fft_size_for_hop(hop). With StftSynthesis the pair reconstructs the
/// signal perfectly, one hop late, and a spectrum changed in between fades without steps.
///
/// process(): audio thread, no allocation.
class StftAnalysis {
 public:
  /// channels 1..64, hop 16..4096.
  static Result<std::unique_ptr<StftAnalysis>> create(int channels, int hop);
  /// in: channels x hop samples; out: channels x bins.
  void process(ConstFrameView in, SpectrumView out) noexcept;
  void reset() noexcept;

  int channels() const { return past_.channels(); }
  int hop() const { return hop_; }
  int fft_size() const { return fft_.size(); }
  int bins() const { return fft_.bins(); }

 private:
  StftAnalysis(int channels, int hop, RealFft fft);
  int hop_;
  RealFft fft_;
  FrameBuffer window_;  // 1 x 2 hop
  FrameBuffer past_;    // channels x hop
  FrameBuffer work_;    // 1 x fft_size
};

/// Back to samples by weighted overlap-add.
class StftSynthesis {
 public:
  static Result<std::unique_ptr<StftSynthesis>> create(int channels, int hop);
  /// in: channels x bins; out: channels x hop samples.
  void process(ConstSpectrumView in, FrameView out) noexcept;
  void reset() noexcept;

  /// Delay of analysis and synthesis together, in samples: one hop.
  int latency_frames() const { return hop_; }
  int hop() const { return hop_; }
  int fft_size() const { return fft_.size(); }
  int bins() const { return fft_.bins(); }

 private:
  StftSynthesis(int channels, int hop, RealFft fft);
  int hop_;
  RealFft fft_;
  FrameBuffer window_;  // 1 x 2 hop, scaled by 1 / fft_size
  FrameBuffer tail_;    // channels x hop
  FrameBuffer work_;    // 1 x fft_size
};

}  // namespace conclave::dsp
