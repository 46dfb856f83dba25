// SPDX-License-Identifier: Apache-2.0
#include "control/provisioning/config_signature.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>
#include <memory>
#include <vector>

#include "control/provisioning/config_file.h"

namespace conclave::control {
namespace {

constexpr std::string_view kPrefix = "signature ed25519 ";
constexpr std::size_t kSignatureBytes = 64;
constexpr std::size_t kBase64Bytes = 88;

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Bio = std::unique_ptr<BIO, Free>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free>;
using Context = std::unique_ptr<EVP_MD_CTX, Free>;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Bio memory(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

}  // namespace

Status check_signature(std::string_view text, const std::string& key_pem) {
  std::string_view lines = text;
  if (!lines.empty() && lines.back() == '\n') lines.remove_suffix(1);
  if (!lines.empty() && lines.back() == '\r') lines.remove_suffix(1);
  const auto begin = lines.rfind('\n');
  const std::size_t at = begin == std::string_view::npos ? 0 : begin + 1;
  const std::string_view last = lines.substr(at);
  if (!last.starts_with(kPrefix) || last.size() != kPrefix.size() + kBase64Bytes) {
    return Error{"the file is not signed: its last line must be 'signature ed25519 ...'"};
  }
  const KeyPtr key(PEM_read_bio_PUBKEY(memory(key_pem).get(), nullptr, nullptr, nullptr));
  if (!key || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519) {
    return Error{"the key for signed files is no Ed25519 public key in PEM form"};
  }
  std::array<unsigned char, kBase64Bytes> signature{};
  const int decoded = EVP_DecodeBlock(signature.data(), bytes(last.substr(kPrefix.size())),
                                      static_cast<int>(kBase64Bytes));
  const Context context(EVP_MD_CTX_new());
  // Base64 of 64 bytes ends with two fillers, which the decoder counts.
  if (decoded != static_cast<int>(kSignatureBytes) + 2 || !context ||
      EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestVerify(context.get(), signature.data(), kSignatureBytes, bytes(text), at) != 1) {
    return Error{"the signature does not belong to this file and key"};
  }
  return {};
}

Result<std::string> signature_line(std::string_view text, const std::string& key_pem) {
  if (text.empty() || text.back() != '\n') return Error{"the file must end with a line end"};
  const KeyPtr key(PEM_read_bio_PrivateKey(memory(key_pem).get(), nullptr, nullptr, nullptr));
  if (!key || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519) {
    return Error{
        "the key is no Ed25519 private key in PEM form; make one with "
        "openssl genpkey -algorithm ed25519"};
  }
  std::array<unsigned char, kSignatureBytes> signature{};
  std::size_t size = signature.size();
  const Context context(EVP_MD_CTX_new());
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, bytes(text), text.size()) != 1) {
    return Error{"signing failed"};
  }
  std::array<unsigned char, kBase64Bytes + 1> base64{};
  EVP_EncodeBlock(base64.data(), signature.data(), static_cast<int>(size));
  return std::string(kPrefix) + reinterpret_cast<const char*>(base64.data()) + "\n";
}

}  // namespace conclave::control
