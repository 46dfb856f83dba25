// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/frame_view.h"
#include "base/result.h"
#include "bench/room/scene.h"
#include "bench/room/simulator.h"

namespace conclave::bench::room {

struct Rendering {
  int sample_rate = 0;
  FrameBuffer microphones;              ///< ring, then satellites: all on the ring's clock
  std::vector<FrameBuffer> satellites;  ///< each 1 x frames on its own clock, as its card gives it
  FrameBuffer far;                      ///< what the loudspeaker was given, 1 x frames
  std::vector<Truth> truth;             ///< one for each 10 ms, at the mouths
};

/// Renders a scene without cards: the microphones' signals while the loudspeaker plays `far`
/// (1 x any length, padded with silence; an empty view: silence). Deterministic. `parts` leaves
/// something out; the loudspeaker's, talkers' and noise parts add up to the whole.
Result<Rendering> render(const Scene& scene, double seconds, ConstFrameView far = {},
                         Parts parts = {});

/// Writes mics.wav (ring then satellites, each satellite on its own clock), far.wav, truth.csv,
/// scene.json and profile.json into a folder, which is made when missing.
Status write_rendering(const Rendering& rendering, const Scene& scene, const std::string& folder);

}  // namespace conclave::bench::room
