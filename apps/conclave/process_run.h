// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"

namespace conclave::apps {

/// A part of the recording on its own (a talker, the noise): same channels as --mics.
struct ShadowComponent {
  std::string name;
  std::string path;
  std::string satellites_path;  ///< when the satellites come by a file of their own
};

/// The options of `conclave process`; empty paths: not asked for.
struct ProcessOptions {
  std::string profile;
  std::string mics;
  std::string satellites;
  std::string far;
  std::string out;
  engine::Chain chain = engine::Chain::kFull;
  bool raw_gain = false;
  std::string
      learned{};  ///< what the learned mask helps with: echo, noise, both, none; else as set
  std::string tracks;
  std::string sync;
  std::string beams;
  std::vector<ShadowComponent> shadow;
  std::string shadow_out;
  std::string metrics;
  std::vector<std::string> taps;
  std::string taps_out;
  bool quiet = false;
};

/// Runs the recordings through the engine, block by block as the audio thread does.
Status run_process(const ProcessOptions& options);

}  // namespace conclave::apps
