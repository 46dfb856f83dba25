// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::apps {

struct TalkerConfig {
  std::string voice = "en";  ///< language of an installed voice; "none": never speaks
  double talk_s = 4;         ///< speaks so long ...
  double silent_s = 6;       ///< ... then is silent so long, again and again
  double offset_s = 1;       ///< silent before the first time
  double level_dbfs = -23;   ///< RMS while speaking
  std::uint64_t seed = 1;    ///< which sentences
};

/// What a far-end participant says: sentences of a real voice in alternation with silence, so that
/// a test can tell double talk from single talk. The same for the same configuration. One thread.
class Talker {
 public:
  /// An error names the package of the voice, when it is not installed.
  static Result<Talker> create(const TalkerConfig& config);
  /// The next 10 ms at 48 kHz. True while speaking.
  bool next(std::span<float> out);

 private:
  std::vector<float> speech_;  // without pauses of the schedule
  std::int64_t period_ = 0;    // samples; 0: never speaks
  std::int64_t talk_ = 0;
  std::int64_t now_ = 0;  // relative to the first turn
  std::size_t at_ = 0;
};

/// "4,6" or "4,6,1": talk, silence, offset in seconds.
Status parse_schedule(const std::string& text, TalkerConfig& config);

}  // namespace conclave::apps
