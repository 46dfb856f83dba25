// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace conclave::control {

/// SHA-256 in 64 digits of lower-case hexadecimal; empty when OpenSSL fails. Any thread.
std::string sha256_hex(std::string_view text);

}  // namespace conclave::control
