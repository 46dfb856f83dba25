// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/echo/generate.h"
#include "bench/room/random.h"

namespace conclave::bench::echo {

using Samples = std::vector<float>;

/// The voices that generated talkers have.
class Voices {
 public:
  /// `speech` as in GenerateOptions. Finds them; loads nothing yet.
  static Result<Voices> find(const std::string& speech);
  int count() const { return static_cast<int>(names_.size()); }
  /// One voice talking for `seconds` with pauses of 0.1 to 0.4 s, active RMS 1. At 48 kHz a voice
  /// that was recorded at 16 kHz gets breath above 7 kHz: noise that follows its upper band.
  Result<Samples> talk(int voice, int rate, double seconds, std::uint64_t seed) const;

 private:
  std::vector<std::string> names_;
  std::string folder_;
};

/// Chords of two seconds with vibrato, decaying: what makes an adaptive filter diverge. Active
/// RMS 1.
Samples hold_music(int rate, double seconds, room::Random& random);
/// Ventilation: noise that falls by 3 dB an octave, with a hum at 120 Hz. RMS 1.
Samples ventilation(int rate, double seconds, room::Random& random);
/// Silences all that is not in a span; 10 ms ramps.
void keep_spans(Samples& samples, const std::vector<Span>& spans, int rate);

/// One recording with its truth; mic is near + echo + noise.
struct Rendered {
  int rate = 0;
  Samples mic;
  Samples far;
  Samples near;
  Samples echo;
};
Result<Rendered> render_situation(const Situation& situation, int rate, const Voices& voices,
                                  std::uint64_t seed);

}  // namespace conclave::bench::echo
