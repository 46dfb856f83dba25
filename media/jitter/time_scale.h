// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

namespace conclave::media {

/// Shortens or lengthens speech by one pitch period without changing its pitch: waveform similarity
/// overlap-add (Verhelst & Roelands, "WSOLA", ICASSP 1993) on a short buffer. In silence any length
/// will do. Functions are pure, allocate nothing and work at 16 or 48 kHz.
struct TimeScale {
  int sample_rate = 48000;

  int overlap() const { return sample_rate / 200; }        ///< 5 ms
  int shortest() const { return sample_rate / 400; }       ///< 2.5 ms
  int longest() const { return sample_rate / 1000 * 15; }  ///< 15 ms

  struct Match {
    int lag = 0;            ///< samples; 0: there is none within the limits
    double similarity = 0;  ///< normalised correlation, -1..1
  };
  /// The lag from `shortest` to `most` at which the signal is most like its own beginning: what may
  /// be taken out. Needs most + overlap samples.
  Match find_period(std::span<const float> sound, int most) const noexcept;
  /// The lag from `shortest` to `longest` at which what was played last is most like the sound that
  /// comes: what may be repeated. Needs `longest` samples of history and overlap samples of sound.
  Match find_repeat(std::span<const float> history, std::span<const float> sound) const noexcept;

  /// Takes `lag` samples out of the first `length`; returns the new length. Needs lag + overlap
  /// samples.
  int remove(std::span<float> sound, int length, int lag) const noexcept;
  /// `buffer` holds `history` samples that were played, then `length` that come. Repeats the last
  /// `lag` played ones before these; returns the new length. Needs room for them, lag <= history
  /// and overlap samples of sound.
  int insert(std::span<float> buffer, int history, int length, int lag) const noexcept;
};

/// Root mean square of the samples.
double rms(std::span<const float> pcm) noexcept;

}  // namespace conclave::media
