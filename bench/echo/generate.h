// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::bench::echo {

struct Span {
  double begin = 0;  ///< seconds
  double end = 0;
};

/// What happens in one generated recording.
struct Situation {
  std::string name;      ///< of the item, without its rate
  std::string scenario;  ///< the same for people
  double seconds = 20;
  std::vector<Span> far{};
  std::vector<Span> near{};
  bool music = false;         ///< the far end is music on hold
  double near_db = 0;         ///< near talker against echo at the microphone, active RMS
  double noise_db = -35;      ///< noise against the echo's level
  bool babble = false;        ///< six voices in the noise
  double delay_ms = 40;       ///< from the reference to the loudspeaker
  double jump_ms = 0;         ///< added to it at the change
  double ppm = 0;             ///< the microphone's clock against the loudspeaker's; + = faster
  double change_seconds = 0;  ///< > 0: the phone is moved, or the delay jumps, here
  double rt60 = 0;            ///< 0: chosen, 0.25 to 0.5 s
  double drive = 0.5;         ///< loudspeaker: soft clipping
  double clip = 0;            ///< > 0: and hard clipping at this part of its peak
};

/// All situations, or the few short ones that a regression gate runs.
std::vector<Situation> situations(bool small);

struct GenerateOptions {
  std::string out;
  std::uint64_t seed = 1;
  std::string speech;  ///< folder of voices, "synthetic", or empty: Debian's voice prompts
  bool small = false;
  std::function<void(std::int64_t, std::int64_t)> progress;  ///< items done, of all
  const std::atomic<bool>* stop = nullptr;
};

/// Renders every situation at 16 and 48 kHz into OUT/<id>/{mic,far,near,echo}.flac and writes
/// OUT/manifest.json: far speech -> delay -> loudspeaker -> room by the image method -> the
/// microphone's clock = echo; near speech -> room = near; noise on top. The same seed and speech
/// give the same bytes. Returns how many items were made.
Result<int> generate(const GenerateOptions& options);

}  // namespace conclave::bench::echo
