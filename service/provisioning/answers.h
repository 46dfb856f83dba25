// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "service/admin/answers.h"
#include "service/protocol/json_object.h"
#include "service/protocol/messages.h"

namespace conclave::service {

/// An entry of the error catalogue, without words of its own (the phone has them), and what stands
/// behind it.
inline HttpAnswer error_answer(int status, const std::string& id, const std::string& detail_id = {},
                               const std::string& detail = {}) {
  return {status, to_json(protocol::ErrorBody{id, "", detail_id, detail})};
}
/// A JSON object of at most `depth`; null for anything else.
inline nlohmann::json parse_object(const std::string& text, int depth) {
  return protocol::parse_object(text, text.size(), depth).value_or(nlohmann::json());
}

}  // namespace conclave::service
