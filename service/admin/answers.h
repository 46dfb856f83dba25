// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "service/https_server.h"

namespace conclave::service {

inline HttpAnswer json_answer(int status, const nlohmann::json& body) {
  return {status, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

/// To the administrator.
inline HttpAnswer admin_error(int status, const std::string& message) {
  return json_answer(status, {{"error", {{"id", "ADMIN"}, {"message", message}}}});
}

/// What follows `name` in a path, without the slash between them; nothing when the path is another.
inline std::optional<std::string_view> below(std::string_view path, std::string_view name) {
  if (path.substr(0, name.size()) != name) return std::nullopt;
  const auto rest = path.substr(name.size());
  if (rest.empty()) return rest;
  return rest.front() == '/' ? std::optional(rest.substr(1)) : std::nullopt;
}

}  // namespace conclave::service
