// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "apps/far_end/participant.h"
#include "apps/far_end/talker.h"
#include "base/result.h"

namespace conclave::apps {

struct FarEndOptions {
  ParticipantConfig participant{};
  TalkerConfig talker{};
  std::string record{};  ///< folder; empty: nothing is kept
  double seconds = 0;    ///< of joined call; 0: until SIGTERM or SIGINT
};

/// Joins, talks, listens and records in real time until the time is over, a signal comes or the
/// call ends; then prints (and with `record` writes to stats.json) what the call was like.
Status run_far_end(const FarEndOptions& options);

}  // namespace conclave::apps
