// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

namespace conclave::media {

/// A sung vowel: harmonics of 140 Hz, falling by 6 dB each octave, with a slow vibrato; -20 dBFS.
std::vector<float> vowel(int sample_rate, double seconds);
/// A sine.
std::vector<float> sine(int sample_rate, double seconds, double hertz, float amplitude);
/// Ratio of `reference` to what differs in `signal`, which lags by about `delay` samples (the best
/// of a few around is taken), behind the first `skip` samples; level differences count.
double snr_db(std::span<const float> reference, std::span<const float> signal, int delay, int skip);
/// Power at one frequency relative to the whole, dB (0: nothing else is there).
double tone_share_db(std::span<const float> signal, int sample_rate, double hertz);

}  // namespace conclave::media
