// SPDX-License-Identifier: Apache-2.0
#include "control/access/password.h"

#include <argon2.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <array>
#include <vector>

namespace conclave::control {

Result<std::string> hash_password(std::string_view password) {
  constexpr std::uint32_t kPasses = 2, kKibibytes = 19 * 1024, kLanes = 1;
  std::array<unsigned char, 16> salt{};
  if (RAND_bytes(salt.data(), static_cast<int>(salt.size())) != 1) {
    return Error{"the system's random generator failed; restart the phone"};
  }
  std::array<char, 160> encoded{};
  const int rc =
      argon2id_hash_encoded(kPasses, kKibibytes, kLanes, password.data(), password.size(),
                            salt.data(), salt.size(), 32, encoded.data(), encoded.size());
  if (rc != ARGON2_OK) return Error{std::string("argon2id: ") + argon2_error_message(rc)};
  return std::string(encoded.data());
}

bool verify_password(std::string_view hash, std::string_view password) {
  return argon2id_verify(std::string(hash).c_str(), password.data(), password.size()) == ARGON2_OK;
}

bool looks_hashed(std::string_view text) { return text.starts_with("$argon2id$"); }

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_token(std::size_t bytes) {
  std::vector<unsigned char> raw(bytes);
  if (RAND_bytes(raw.data(), static_cast<int>(raw.size())) != 1) return {};
  std::string out;
  std::uint32_t bits = 0;
  int have = 0;
  for (const unsigned char byte : raw) {
    bits = bits << 8 | byte;
    have += 8;
    while (have >= 6) {
      have -= 6;
      out += "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[bits >> have & 63];
    }
  }
  if (have > 0) {
    out +=
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[bits << (6 - have) & 63];
  }
  return out;
}

}  // namespace conclave::control
