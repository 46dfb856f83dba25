// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/frame_view.h"
#include "base/result.h"
#include "bench/metrics/echo_score.h"

namespace conclave::bench::echo {

/// One recording to judge systems on. Paths are whole.
struct Item {
  std::string id;        ///< letters, digits and -_.; names its files
  std::string scenario;  ///< what is averaged together
  metrics::Talk talk = metrics::Talk::kFar;
  std::vector<std::string> tags;
  std::string mics;
  std::string far;   ///< empty: silence
  std::string near;  ///< truth, where known: near talker, echo and noise at the first microphone
  std::string echo;
  std::string noise;
  std::string profile;   ///< empty: one microphone
  double near_gain = 1;  ///< makes the near file as loud as it is in the microphone's
  std::optional<double> change_seconds;
};

struct Manifest {
  std::string name;
  std::string digest;  ///< of its text: tells whether results belong together
  std::vector<Item> items;
};

/// {"conclave_bench": 1, "name": ..., "roots": {NAME: FOLDER}, "items": [{"id", "mics", "far",
/// "near", "echo", "noise", "near_gain", "scenario", "talk", "profile", "tags", "change_s",
/// "root"}]}; see docs/bench.md. Paths are relative to the manifest's folder or to the root that
/// the item names, and may not leave it. An unknown key is an error: it would be a misspelt one.
/// Messages name the manifest, the item and what is wrong. Opens no recording.
Result<Manifest> load_manifest(const std::string& path);
Result<Manifest> parse_manifest(const std::string& text, const std::string& path);

const char* talk_name(metrics::Talk talk);  ///< "far", "double", "near", "nobody"
std::optional<metrics::Talk> talk_of(const std::string& name);

/// FNV-1a, 64 bits, hexadecimal.
std::string digest_of(const std::string& text);

/// An item's recordings.
struct Recording {
  int rate = 0;
  FrameBuffer mics;
  FrameBuffer far;  ///< 1 x as long as mics
  metrics::EchoCase truth;
};
/// Loads and checks: rates agree, near, echo and noise are as long as the microphone's file (20 ms
/// forgiven), values are numbers. A recording without truth ends where the shorter of microphone
/// and far end ends. What is missing of near, echo and noise is the rest.
Result<Recording> load_recording(const Item& item);

/// "i/n" -> the items i, i + n, ... (counted from 1).
struct Shard {
  int index = 1;
  int count = 1;
};
Result<Shard> parse_shard(const std::string& text);

}  // namespace conclave::bench::echo
