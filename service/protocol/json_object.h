// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/result.h"

namespace conclave::service::protocol {

/// A JSON object from outside: at most `max_bytes` long and nested at most `max_depth` deep. The
/// error says which of these it is not.
Result<nlohmann::json> parse_object(std::string_view text, std::size_t max_bytes, int max_depth);

}  // namespace conclave::service::protocol
