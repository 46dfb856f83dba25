// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/result.h"

namespace conclave::apps {

/// Where the parts of a call left what they saw of it.
struct CallEvidence {
  std::filesystem::path room;          ///< truth.jsonl, mouth_*.wav
  std::filesystem::path room_ready;    ///< what the room said when it was ready
  std::filesystem::path far_end;       ///< played.wav/.json, stats.json
  std::filesystem::path phone_report;  ///< what conclaved wrote
  double seconds_to_join = 0.0;
  double seconds = 0.0;  ///< how long the joined call lasted
};

/// The report of `./run --headless` (interfaces: R.json). Mouth-to-ear delay, echo reduction and
/// direction accuracy are measured from the recordings and the room's truth; counters are the
/// parts' own. A figure that could not be measured is left out, and "missing" says why.
Result<nlohmann::json> call_report(const CallEvidence& evidence);

}  // namespace conclave::apps
