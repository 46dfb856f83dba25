// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace conclave::media {

/// Protection profiles by their SDES names (RFC 4568, RFC 6188, RFC 7714), strongest first.
enum class SrtpSuite : std::uint8_t {
  kAeadAes256Gcm,        ///< AEAD_AES_256_GCM
  kAesCm256HmacSha1_80,  ///< AES_256_CM_HMAC_SHA1_80
  kAeadAes128Gcm,        ///< AEAD_AES_128_GCM
  kAesCm128HmacSha1_80,  ///< AES_CM_128_HMAC_SHA1_80: what everybody speaks
};
inline constexpr SrtpSuite kAllSrtpSuites[] = {
    SrtpSuite::kAeadAes256Gcm, SrtpSuite::kAesCm256HmacSha1_80, SrtpSuite::kAeadAes128Gcm,
    SrtpSuite::kAesCm128HmacSha1_80};

/// The suite's name in a=crypto.
std::string_view suite_name(SrtpSuite suite);
/// The suite of that name; an error for one that is not supported here.
Result<SrtpSuite> suite_from_name(std::string_view name);
/// Master key plus master salt, bytes.
std::size_t suite_key_bytes(SrtpSuite suite);

/// One direction's master key and salt. Wiped when it dies; has no way into a log (there is no
/// formatter and no stream operator on purpose). Any thread.
class SrtpKey {
 public:
  static constexpr std::size_t kMaxBytes = 46;

  /// From the system's random generator (OpenSSL RAND_priv_bytes).
  static Result<SrtpKey> generate(SrtpSuite suite);
  /// The key parameter of a=crypto: "inline:BASE64[|lifetime][|MKI:length]". MKIs are refused,
  /// a lifetime is accepted and ignored (the key is good for 2^48 packets; a call is not that
  /// long).
  static Result<SrtpKey> parse(SrtpSuite suite, std::string_view inline_text);

  SrtpKey(const SrtpKey&) = default;
  SrtpKey& operator=(const SrtpKey&) = default;
  ~SrtpKey();

  SrtpSuite suite() const { return suite_; }
  std::span<const std::uint8_t> bytes() const { return {bytes_.data(), suite_key_bytes(suite_)}; }
  /// "inline:BASE64": a secret; for the SDP alone.
  std::string inline_text() const;
  bool operator==(const SrtpKey& other) const;

 private:
  explicit SrtpKey(SrtpSuite suite) : suite_(suite) {}
  SrtpSuite suite_;
  std::array<std::uint8_t, kMaxBytes> bytes_{};
};

}  // namespace conclave::media
