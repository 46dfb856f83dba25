// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace conclave::service {

/// One request that the service answers, as /openapi.json describes it. Whoever adds a route adds
/// it here; a test asks each of them, and each method that is not here.
struct Operation {
  /// What opens it: nothing, a phone's token, its device certificate, the administrator's token.
  enum class Door { kOpen, kPhone, kDevice, kAdministrator };
  std::string_view method;  ///< get, post, delete
  std::string_view path;    ///< with {names}; of call control below its base path, marked by '~'
  Door door;
  std::string_view summary;
  std::string_view body;     ///< name of a schema; empty: none
  std::string_view answer;   ///< name of a schema; empty: 204
  std::string_view query{};  ///< "since wait": whole numbers
};
std::span<const Operation> operations();

/// OpenAPI 3.1, as JSON text.
const std::string& openapi_document();

}  // namespace conclave::service
