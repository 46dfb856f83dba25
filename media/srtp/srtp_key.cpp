// SPDX-License-Identifier: Apache-2.0
#include "media/srtp/srtp_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>

namespace conclave::media {
namespace {

struct SuiteRow {
  SrtpSuite suite;
  std::string_view name;
  std::size_t bytes;
};
constexpr SuiteRow kSuites[] = {
    {SrtpSuite::kAeadAes256Gcm, "AEAD_AES_256_GCM", 32 + 12},
    {SrtpSuite::kAesCm256HmacSha1_80, "AES_256_CM_HMAC_SHA1_80", 32 + 14},
    {SrtpSuite::kAeadAes128Gcm, "AEAD_AES_128_GCM", 16 + 12},
    {SrtpSuite::kAesCm128HmacSha1_80, "AES_CM_128_HMAC_SHA1_80", 16 + 14},
};

const SuiteRow& row(SrtpSuite suite) {
  return *std::find_if(std::begin(kSuites), std::end(kSuites),
                       [&](const SuiteRow& r) { return r.suite == suite; });
}

}  // namespace

std::string_view suite_name(SrtpSuite suite) { return row(suite).name; }
std::size_t suite_key_bytes(SrtpSuite suite) { return row(suite).bytes; }

Result<SrtpSuite> suite_from_name(std::string_view name) {
  for (const auto& r : kSuites) {
    if (r.name == name) return r.suite;
  }
  return Error{"unknown SRTP suite"};
}

Result<SrtpKey> SrtpKey::generate(SrtpSuite suite) {
  SrtpKey key(suite);
  if (RAND_priv_bytes(key.bytes_.data(), static_cast<int>(suite_key_bytes(suite))) != 1) {
    return Error{"the random generator failed; no key can be made"};
  }
  return key;
}

Result<SrtpKey> SrtpKey::parse(SrtpSuite suite, std::string_view text) {
  constexpr std::string_view kInline = "inline:";
  if (!text.starts_with(kInline)) return Error{"key does not begin with inline:"};
  text.remove_prefix(kInline.size());
  const auto bar = text.find('|');
  std::string_view rest = bar == std::string_view::npos ? "" : text.substr(bar + 1);
  const auto base64 = text.substr(0, bar);
  // A lifetime is "2^31" or a number; what has a colon is an MKI, which libsrtp would need to know.
  if (rest.find(':') != std::string_view::npos) return Error{"key with an MKI"};

  const std::size_t want = suite_key_bytes(suite);
  if (base64.size() != (want + 2) / 3 * 4) return Error{"key of the wrong length"};
  std::array<std::uint8_t, 64> decoded{};
  const int got =
      EVP_DecodeBlock(decoded.data(), reinterpret_cast<const unsigned char*>(base64.data()),
                      static_cast<int>(base64.size()));
  const auto padding = static_cast<std::size_t>(
      base64.size() - std::min(base64.find_last_not_of('=') + 1, base64.size()));
  if (got < 0 || padding > 2 || static_cast<std::size_t>(got) - padding != want) {
    OPENSSL_cleanse(decoded.data(), decoded.size());
    return Error{"key is not valid base64"};
  }
  SrtpKey key(suite);
  std::copy_n(decoded.begin(), want, key.bytes_.begin());
  OPENSSL_cleanse(decoded.data(), decoded.size());
  return key;
}

SrtpKey::~SrtpKey() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

std::string SrtpKey::inline_text() const {
  std::array<unsigned char, 72> text{};
  const int n = EVP_EncodeBlock(text.data(), bytes_.data(), static_cast<int>(bytes().size()));
  std::string out = "inline:";
  out.append(reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(n));
  OPENSSL_cleanse(text.data(), text.size());
  return out;
}

bool SrtpKey::operator==(const SrtpKey& other) const {
  return suite_ == other.suite_ &&
         CRYPTO_memcmp(bytes_.data(), other.bytes_.data(), kMaxBytes) == 0;
}

}  // namespace conclave::media
