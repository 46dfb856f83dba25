// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/phone_door.h"

#include "control/door/door_client.h"

namespace conclave::apps {

Result<nlohmann::json> ask_phone_raw(const std::string& data_folder, const std::string& method,
                                     const nlohmann::json& params, int timeout_s) {
  using nlohmann::json;
  const json request{{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}};
  CONCLAVE_TRY(const std::string text,
               control::ask_local_door(control::local_door_path(data_folder), request.dump(),
                                       timeout_s * 1000));
  json answer = json::parse(text, nullptr, false);
  if (!answer.is_object()) return Error{"the phone's answer cannot be read; look into its log"};
  return answer;
}

Result<nlohmann::json> ask_phone(const std::string& data_folder, const std::string& method,
                                 const nlohmann::json& params, int timeout_s) {
  CONCLAVE_TRY(const auto answer, ask_phone_raw(data_folder, method, params, timeout_s));
  if (const auto error = answer.find("error"); error != answer.end()) {
    std::string message = error->value("message", "refused");
    if (const auto data = error->find("data"); data != error->end() && data->is_object()) {
      message += "; " + data->value("remedy", data->dump());
    }
    return Error{message};
  }
  return answer.value("result", nlohmann::json());
}

}  // namespace conclave::apps
