// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "base/frame_view.h"
#include "base/result.h"
#include "dsp/transform/real_fft.h"

namespace conclave::dsp {

/// The last spectra of the far end, newest first, shared by all filters: real and imaginary parts
/// apart, so that inner loops vectorise. Rows are padded with zeros to a multiple of 16.
class FarHistory {
 public:
  FarHistory() = default;
  FarHistory(int references, int partitions, int bins);
  /// Makes room for the next block; the caller fills row(reference, 0).
  void advance();
  void clear();
  /// The far end comes `samples` later from now on, as if it always had; 0..fft_size - 2 * hop of
  /// the sample's remainder by the hop is exact, whole hops lose the oldest blocks.
  void delay(int samples, int hop, int fft_size);
  float* real(int reference, int age) { return spectra_.data() + offset(reference, age); }
  float* imag(int reference, int age) { return real(reference, age) + row_; }
  const float* real(int reference, int age) const {
    return spectra_.data() + offset(reference, age);
  }
  const float* imag(int reference, int age) const { return real(reference, age) + row_; }
  int references() const { return references_; }
  int partitions() const { return partitions_; }
  int row() const { return row_; }

 private:
  std::ptrdiff_t offset(int reference, int age) const {
    return static_cast<std::ptrdiff_t>(reference * slots_ + (newest_ + age) % slots_) * 2 * row_;
  }
  int references_ = 0;
  int partitions_ = 0;
  int slots_ = 0;  // one more than partitions: updates use the block before
  int row_ = 0;
  int newest_ = 0;
  FrameBuffer spectra_;
};

/// How a filter adapts in one block.
struct KalmanStep {
  float process_noise = 0;  ///< 1 - A^2: how much of the path may change in a block
  float gain = 1;           ///< 0..1, factor on the Kalman gain; 0 freezes
  float certainty = 1;      ///< 0..1, how much the block may lower the uncertainty
};

/// Partitioned-block frequency-domain Kalman filters of several microphones.
///
/// The correction by a block's error is applied while the next block is filtered, so that weights
/// and uncertainties are read and written once per block: memory, not arithmetic, sets the cost.
class KalmanBank {
 public:
  KalmanBank() = default;
  /// From partition `wide_partitions` on only the first `narrow_bins` bins are filtered: high
  /// frequencies fade sooner in a room, and memory is what this costs.
  KalmanBank(int microphones, int references, int partitions, int hop, int fft_size,
             int wide_partitions, int narrow_bins);

  void reset();
  /// Corrects by the block before, then predicts this block's echo: spectrum() and predicted().
  void filter(const FarHistory& far, const KalmanStep& step);
  /// Real and imaginary part of the echo of one microphone.
  const float* echo_real(int mic) const { return echo_[mic].data(); }
  const float* echo_imag(int mic) const { return echo_[mic].data() + row_; }
  /// Takes the error of this block (spectrum of zeros and the newest hop).
  void set_error(int mic, std::span<const std::complex<float>> error);
  /// Cuts the time-domain wrap-around of `count` partitions of every microphone, round-robin.
  void constrain(RealFft& fft, int count);
  /// The echo path has changed: makes all filters as uncertain as their own size.
  void lift_uncertainty(float factor);
  /// The echo comes `samples` earlier from now on (the far end was delayed by as much): moves all
  /// responses there, exactly.
  void advance_echo(RealFft& fft, int samples);
  /// Forgets one microphone.
  void reset_mic(int mic);
  /// Takes over the weights of another bank's microphone.
  void copy_from(const KalmanBank& other, int other_mic, int mic);

  /// Sum of squared weights of one microphone (over bins and partitions), mean per bin.
  float weight_energy(int mic) const;
  /// Expected residual echo of the last block in one bin, in units of |error|^2.
  float predicted(int mic, int bin) const;
  float noise(int mic, int bin) const { return noise_[mic][static_cast<std::size_t>(bin)]; }

 private:
  float* weights(int mic, int q) {
    return weights_.data() + (static_cast<std::ptrdiff_t>(mic) * count_ + q) * 3 * row_;
  }
  const float* weights(int mic, int q) const {
    return weights_.data() + (static_cast<std::ptrdiff_t>(mic) * count_ + q) * 3 * row_;
  }
  void prior(int mic);
  /// Bins that a partition filters.
  int reach(int q) const { return q % partitions_ < wide_ ? bins_ : narrow_; }

  int microphones_ = 0;
  int partitions_ = 0;  // of one reference
  int count_ = 0;       // partitions of all references
  int hop_ = 0;
  int size_ = 0;
  int bins_ = 0;
  int row_ = 0;
  int wide_ = 0;    // partitions with all bins
  int narrow_ = 0;  // bins of the others
  int next_constrained_ = 0;
  float overlap_ = 0;       // hop / fft size
  FrameBuffer weights_;     // mic, partition: real row, imaginary row, uncertainty row
  FrameBuffer echo_;        // mic: real row, imaginary row
  FrameBuffer spread_;      // mic: sum of uncertainty * |far|^2
  FrameBuffer correction_;  // mic: error / (spread + noise): real row, imaginary row
  FrameBuffer inverse_;     // mic: 1 / (spread + noise)
  FrameBuffer noise_;       // mic: PSD of what is not echo
  FrameBuffer time_;
  FrameBuffer response_;  // of one microphone to one reference, for moving it
  SpectrumBuffer bins_work_;
};

}  // namespace conclave::dsp
