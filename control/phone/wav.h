// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

namespace conclave::control {

/// A mono WAV file of 16 bits in memory; samples outside +-1.0 are clipped.
std::string wav_file(std::span<const float> samples, int sample_rate);

}  // namespace conclave::control
