// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::bench::echo {

/// The means of a results.json (or of a folder that holds one) as text: a row for each scenario and
/// system, a column for each metric. Without names, the ones that tell most. "!2": in two
/// recordings it never came.
Result<std::string> show_results(const std::string& place, std::vector<std::string> metrics);

}  // namespace conclave::bench::echo
