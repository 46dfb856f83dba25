// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "service/https_server.h"

namespace conclave::service {

/// What a browser gets without a token: the administrator's page at /admin with its style and
/// script, and /openapi.json. Nothing when the path is another.
std::optional<HttpAnswer> page(const HttpRequest& request);

/// The message of the error catalogue in English; empty for what is not in it.
std::string_view message_of_error(std::string_view id);

}  // namespace conclave::service
