// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>

#include "base/result.h"
#include "bench/echo/record.h"

namespace conclave::bench::echo {

/// Hands outputs that have no such scores yet to an external scorer and stores what it gives.
///
/// The command runs once, without a shell, with the job list on standard input and, where it says
/// {jobs}, its path:
///   {"jobs": [{"id": "ITEM/SYSTEM", "mic": PATH, "far": PATH, "near": PATH or null, "out": PATH,
///              "rate": 16000, "talk": "far" | "double" | "near" | "nobody"}, ...]}
/// The files are 32-bit float WAV of one length, `out` moved onto the microphone's time. It prints
///   {"ITEM/SYSTEM": {"aecmos_echo": 4.2, ...}, ...}
/// with any names and finite numbers; null: it has no value for this one.
Status run_scorer(const Store& store, const RunPlan& plan, const std::string& command,
                  const std::atomic<bool>& stop);

}  // namespace conclave::bench::echo
