// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace conclave::control {

/// argon2id, 19 MiB, 2 passes, 1 lane (OWASP's recommendation), random salt, in the usual encoded
/// form. Takes some 20 ms: not for a thread that others wait for.
Result<std::string> hash_password(std::string_view password);
/// False too when the hash cannot be read.
bool verify_password(std::string_view hash, std::string_view password);
bool looks_hashed(std::string_view text);

/// Compares in a time that does not depend on where the difference is.
bool equal_constant_time(std::string_view a, std::string_view b);
/// `bytes` random bytes of the system's generator as URL-safe base64; empty when it fails.
std::string random_token(std::size_t bytes);

}  // namespace conclave::control
