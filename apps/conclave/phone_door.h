// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace conclave::apps {

/// The phone's whole JSON-RPC answer, with "result" or "error".
Result<nlohmann::json> ask_phone_raw(const std::string& data_folder, const std::string& method,
                                     const nlohmann::json& params, int timeout_s = 10);

/// Asks the phone that runs with this data folder. A refusal is an Error with what the phone says
/// and what to do next.
Result<nlohmann::json> ask_phone(const std::string& data_folder, const std::string& method,
                                 const nlohmann::json& params, int timeout_s = 10);

}  // namespace conclave::apps
