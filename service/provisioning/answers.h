// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "service/https_server.h"
#include "service/protocol/messages.h"

namespace conclave::service {

inline HttpAnswer json_answer(int status, const nlohmann::json& body) {
  return {status, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}
/// An entry of the error catalogue, without words of its own (the phone has them), and what stands
/// behind it.
inline HttpAnswer error_answer(int status, const std::string& id, const std::string& detail_id = {},
                               const std::string& detail = {}) {
  return {status, to_json(protocol::ErrorBody{id, "", detail_id, detail})};
}
/// To the administrator.
inline HttpAnswer admin_error(int status, const std::string& message) {
  return json_answer(status, {{"error", {{"id", "ADMIN"}, {"message", message}}}});
}
/// A JSON object of at most `depth`; null for anything else.
inline nlohmann::json parse_object(const std::string& text, int depth) {
  bool deep = false;
  const nlohmann::json::parser_callback_t limit =
      [&deep, depth](int now, nlohmann::json::parse_event_t, nlohmann::json&) {
        deep = deep || now > depth;
        return !deep;
      };
  nlohmann::json value = nlohmann::json::parse(text, limit, /*allow_exceptions=*/false);
  return deep || !value.is_object() ? nlohmann::json() : value;
}

}  // namespace conclave::service
