// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/frame_view.h"
#include "base/result.h"
#include "dsp/transform/real_fft.h"

namespace conclave::engine {

struct ClockObservation {
  float ppm = 0.0F;         ///< what is left of the satellite's clock offset; positive = runs fast
  float delay_ms = 0.0F;    ///< its sound behind the ring's: way of the sound, card and buffers
  float confidence = 0.0F;  ///< 0..1
  bool delay_known = false;
  bool ppm_known = false;
};

/// Measures a satellite's clock from the sound itself, where no device tells it: recordings, and
/// what a drift compensator's buffer cannot see.
///
/// The coherence between ring and satellite turns its phase with time when their clocks differ, and
/// only then: the phase between two moments T apart does not depend on where the talker is
/// (weighted average coherence drift; Chinaev, Enzner, Gburrek and Schmalenstroeer, "Online
/// estimation of sampling rate offsets in wireless acoustic sensor networks with packet loss",
/// EUSIPCO 2021). That turn, averaged over some seconds, is a delay of ppm * T, found by an inverse
/// transform and refined by the slope of the phase. The delay itself is the peak of the generalised
/// cross-correlation with phase transform (Knapp and Carter 1976) over the same seconds. Runs at 8
/// kHz; the satellites take turns, so the cost of each block is about the same. Audio thread but
/// for create().
class ClockObserver {
 public:
  static Result<std::unique_ptr<ClockObserver>> create(int sample_rate, int hop, int satellites);

  /// reference: one microphone of the ring, 1 x hop; satellites: S x hop, on the ring's clock as
  /// far as it is known.
  /// `steady`: the same talker as some seconds ago, as far as one knows. Little is learned about
  /// clocks across a change of talkers.
  void process(ConstFrameView reference, ConstFrameView satellites, bool steady) noexcept;
  const ClockObservation& observation(int satellite) const noexcept {
    return lines_[static_cast<std::size_t>(satellite)].seen;
  }
  void reset() noexcept;

 private:
  static constexpr int kLagSteps = 25;         // steps of 80 ms between the two coherences: T = 2 s
  struct Line {                                // one satellite
    SpectrumBuffer cross;                      // 1 x bins, smoothed
    FrameBuffer power;                         // 1 x bins, smoothed
    SpectrumBuffer past;                       // lag steps x bins: coherence of the last steps
    SpectrumBuffer turn;                       // 1 x bins: averaged turn of the coherence
    SpectrumBuffer phase;                      // 1 x bins: averaged phase of the cross-spectrum
    std::array<float, kLagSteps> past_time{};  // of the sound in `past`, seconds
    float loudness = 0.0F;
    float sound_time = 0.0F;  // of what the averages hold
    float told = 0.0F;        // weight of the turns in `turn`, and seconds between their sounds
    float told_seconds = 0.0F;
    int offset = 0;  // samples at 8 kHz by which its window is moved
    int steps = 0;
    float turns = 0.0F;  // weight of all that went into `turn`
    ClockObservation seen;
  };

  ClockObserver(int sample_rate, int hop, int satellites, dsp::RealFft fft);
  void decimate(ConstFrameView in, int row) noexcept;
  void window(int row, int delay, std::span<std::complex<float>> spectrum) noexcept;
  void step(Line& line, int row, bool steady) noexcept;
  void find_delay(Line& line) noexcept;
  void find_drift(Line& line) noexcept;

  int hop_;
  int factor_;
  dsp::RealFft fft_;
  std::vector<float> filter_;
  FrameBuffer tail_;     // rows x filter taps: input history of the decimator
  FrameBuffer history_;  // rows x history at 8 kHz, newest last
  FrameBuffer hann_;
  FrameBuffer work_;
  FrameBuffer reference_power_;
  SpectrumBuffer reference_;
  SpectrumBuffer spectrum_;
  SpectrumBuffer product_;
  FrameBuffer lags_;
  std::vector<Line> lines_;
  int block_ = 0;
};

}  // namespace conclave::engine
