// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "bench/echo/record.h"

namespace conclave::bench::echo {

/// Joins the result folders of shards of one run into `out`: results.json and results.csv are the
/// bytes that one run of everything gives. The shards must come from one manifest and the same
/// systems; an item may be in several (the first is taken) and none may be missing.
Result<RunPlan> merge_results(const std::vector<std::string>& folders, const std::string& out);

}  // namespace conclave::bench::echo
