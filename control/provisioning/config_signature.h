// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace conclave::control {

/// Whether the last line of `text` is "signature ed25519 BASE64" over every byte before that line
/// (RFC 8032), by the private half of `key_pem` (a public key in PEM). Any thread.
Status check_signature(std::string_view text, const std::string& key_pem);

}  // namespace conclave::control
