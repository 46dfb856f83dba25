// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace conclave::bench::echo {

struct ImportOptions {
  std::string folder;    ///< with a manifest.json that lists files: path, fs, scenario, part, pair
  std::string manifest;  ///< is written; mixed recordings go to a folder of its name beside it
  std::uint64_t seed = 1;
};
struct ImportOutcome {
  int recorded = 0;   ///< real recordings without truth
  int synthetic = 0;  ///< with truth
  int mixed = 0;      ///< real echo with a known near talker
};

/// Makes a manifest for a folder of recordings as the AEC Challenge gives them: far-end single
/// talk, double talk and near-end single talk (`part` mic with its `pair`), synthetic double talk
/// (`part` nearend_mic, nearend_speech, farend_speech, echo of one `fileid`). On top of each
/// far-end recording clean near speech of the folder is laid from 4 s on, at 0, -6 and +6 dB to the
/// echo in turn: a real echo with a known near talker.
Result<ImportOutcome> import_folder(const ImportOptions& options);

}  // namespace conclave::bench::echo
