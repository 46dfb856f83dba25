// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

namespace conclave::control {

/// The RFC 7396 merge patch that turns `from` into `to`. Empty object: they are equal. Neither may
/// hold nulls: a merge patch cannot say them. Arrays are replaced whole.
nlohmann::json merge_diff(const nlohmann::json& from, const nlohmann::json& to);

/// Applies `patch` to `target` and tells whether anything changed.
bool merge_apply(nlohmann::json& target, const nlohmann::json& patch);

}  // namespace conclave::control
