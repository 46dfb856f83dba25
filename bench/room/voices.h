// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::bench::room {

/// Where Debian's asterisk-core-sounds-*-g722 packages put their prompts.
inline constexpr const char* kVoiceFolder = "/usr/share/asterisk/sounds";
inline constexpr int kG722Rate = 16000;

/// Decodes a raw G.722 file at 64 kbit/s to 16 kHz samples.
Result<std::vector<float>> read_g722(const std::string& path);

/// Spoken pieces of one voice at `sample_rate`, together at least `seconds` long (repeated when the
/// voice has less), silence cut off at both ends, each as loud as RMS 1 while speaking. `voice` as
/// in Talker. The choice depends on the seed alone. A voice that is not installed is an error that
/// names the Debian package.
Result<std::vector<std::vector<float>>> load_utterances(const std::string& voice, int sample_rate,
                                                        double seconds, std::uint64_t seed,
                                                        const std::string& folder = kVoiceFolder);

/// Loudness over the parts of a signal that are not silence: RMS of the 10 ms frames within 25 dB
/// of the loudest.
double active_rms(std::span<const float> signal, int sample_rate);

}  // namespace conclave::bench::room
