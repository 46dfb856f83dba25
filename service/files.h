// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"

namespace conclave::service {

/// At most `max_bytes`. Error "…: No such file or directory" when there is none; `missing` tells.
Result<std::string> read_file(const std::string& path, std::size_t max_bytes, bool* missing);

}  // namespace conclave::service
