// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "bench/room/scene.h"

namespace conclave::bench::room {

/// A conversation in a loop: each talker's dry signal and who speaks when.
struct Talk {
  int loop_samples = 0;                   ///< a multiple of 10 ms
  std::vector<std::vector<float>> dry;    ///< for each talker loop_samples at the level of 1 m
  std::vector<std::vector<bool>> active;  ///< for each talker, each 10 ms: audible speech
};

/// The talkers take turns of 3 to 9 s, with natural pauses inside (150..500 ms) and between turns
/// (0.4..1.6 s). After each round everybody listens for scene.listen_seconds.
Result<Talk> make_talk(const Scene& scene);

}  // namespace conclave::bench::room
