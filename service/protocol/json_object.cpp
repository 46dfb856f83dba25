// SPDX-License-Identifier: Apache-2.0
#include "service/protocol/json_object.h"

namespace conclave::service::protocol {

using nlohmann::json;

Result<json> parse_object(std::string_view text, std::size_t max_bytes, int max_depth) {
  if (text.size() > max_bytes) return Error{"too long"};
  bool deep = false;
  const json::parser_callback_t limit = [&deep, max_depth](int depth, json::parse_event_t, json&) {
    deep = deep || depth > max_depth;
    return !deep;
  };
  json value = json::parse(text, limit, /*allow_exceptions=*/false);
  if (deep) return Error{"nested too deep"};
  if (!value.is_object()) return Error{"no JSON object"};
  return value;
}

}  // namespace conclave::service::protocol
