// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::bench::echo {

/// Levels of a signal over time (columns) and mel frequency (rows, the lowest last), in dB.
struct Spectrogram {
  int columns = 0;
  int rows = 0;
  std::vector<float> db;  ///< rows x columns
};
/// `columns` x `rows` from windows of 32 ms (21 ms at 48 kHz).
Result<Spectrogram> spectrogram(std::span<const float> samples, int rate, int columns, int rows);

/// A level of which a 200th lies above.
float loud_level(const Spectrogram& picture);

/// PNG with a colour map from dark to bright; `top` dB is brightest, 70 dB below darkest.
std::string png(const Spectrogram& picture, float top);

std::string base64(const std::string& bytes);

}  // namespace conclave::bench::echo
