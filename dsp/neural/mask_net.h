// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/frame_view.h"
#include "base/result.h"
#include "dsp/neural/mask_features.h"

namespace conclave::dsp {

/// What the network answers for one frame. The spans are valid until the next frame.
struct MaskAnswer {
  std::span<const float> echo_gain;  ///< of a band, 0..1: leaves near speech and the room's noise
  std::span<const float> near_gain;  ///< of a band, 0..1: leaves near speech alone
  float near_probability = 0;        ///< 0..1 that a near talker is in the frame
};

/// The learned mask: a dense layer, two gated recurrent layers (Cho et al., EMNLP 2014) and a dense
/// layer of two gains for each band, 195 000 weights of 8 bits. tools/training makes the weights.
///
/// Inner products are integers (8-bit weights with a scale for each row, 16-bit activations, 32-bit
/// sums), so that they come out the same whatever the order; the cost does not depend on the
/// samples. create() any thread; everything else on the audio thread, without allocation.
class MaskNet {
 public:
  /// With the weights that the program carries.
  static Result<std::unique_ptr<MaskNet>> create();
  /// With weights in the form that tools/training/export.py writes; they are copied. Errors: not
  /// that form, another shape, or a value that is not finite.
  static Result<std::unique_ptr<MaskNet>> create(std::span<const std::uint8_t> weights);

  /// Forgets what was heard.
  void reset() noexcept;
  /// `features`: MaskFeatures::kCount. What is not finite counts as 0.
  MaskAnswer process(std::span<const float> features) noexcept;

 private:
  /// A matrix of 8-bit weights, rows padded to a multiple of 32.
  struct Matrix {
    int rows = 0;
    int columns = 0;
    int stride = 0;
    std::vector<std::int8_t> weights;
    std::vector<float> scale;  // of a row, activations' scale included
    std::vector<float> bias;
  };
  struct Reader;

  MaskNet();
  static Status read(Reader& reader, Matrix& matrix, int rows, int columns, float activation);
  static void multiply(const Matrix& m, const std::int16_t* x, float* out) noexcept;
  void recurrent(const Matrix& in, const Matrix& own, const std::int16_t* x, float* state,
                 std::int16_t* state16) noexcept;

  Matrix dense_, first_in_, first_own_, second_in_, second_own_, heads_;
  std::vector<std::int16_t> input16_, hidden16_, states16_;  // states16_: first, then second layer
  FrameBuffer hidden_;                                       // 1 x dense layer
  FrameBuffer states_;                                       // 2 x recurrent layer
  FrameBuffer gates_;   // 2 x three gates: from the input, from the state
  FrameBuffer answer_;  // 1 x outputs
};

/// The learned mask on spectra: features, network and gains for every bin.
///
/// One step serves both purposes: echo_gain() behind the residual suppressor's rules, near_gain()
/// for the noise suppressor. create() any thread; everything else on the audio thread, without
/// allocation.
class LearnedMask {
 public:
  /// sample_rate 16000 or 48000, hop of 10 ms.
  static Result<std::unique_ptr<LearnedMask>> create(int sample_rate, int hop);
  void reset() noexcept;
  /// One frame of StftAnalysis: canceller's error, echo estimate and far end; the last two are
  /// empty where there is no far end.
  void process(std::span<const std::complex<float>> error,
               std::span<const std::complex<float>> echo,
               std::span<const std::complex<float>> far) noexcept;
  /// Of each bin, 0..1; above 8 kHz the mean of the highest bands. 1 before the first frame.
  std::span<const float> echo_gain() const noexcept { return gains_[0]; }
  std::span<const float> near_gain() const noexcept { return gains_[1]; }
  float near_probability() const noexcept { return near_probability_; }

 private:
  LearnedMask(int sample_rate, int hop, std::unique_ptr<MaskNet> net);
  void spread(std::span<const float> bands, std::span<float> gain) const noexcept;

  MaskFeatures features_;
  std::unique_ptr<MaskNet> net_;
  FrameBuffer gains_;  // 2 x bins
  float near_probability_ = 0;
};

}  // namespace conclave::dsp
