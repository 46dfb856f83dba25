// SPDX-License-Identifier: Apache-2.0
#include "service/provisioning/config_signer.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>
#include <memory>

#include "base/durable_file.h"
#include "base/free_with.h"
#include "service/files.h"

namespace conclave::service {
namespace {

using Key = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using Digest = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;

constexpr std::string_view kWord = "signature ed25519 ";

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

bool is_signed(std::string_view text) {
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const auto line = text.rfind('\n');
  return text.substr(line == std::string_view::npos ? 0 : line + 1).starts_with(kWord);
}

}  // namespace

Result<ConfigSigner> ConfigSigner::load_or_make(const std::string& private_file,
                                                const std::string& public_file) {
  ConfigSigner signer;
  bool missing = false;
  auto pem = read_file(private_file, 4096, &missing);
  if (missing) {
    const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    const Bio secret(BIO_new(BIO_s_mem()));
    const Bio open(BIO_new(BIO_s_mem()));
    if (!key || !secret || !open ||
        PEM_write_bio_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
            1 ||
        PEM_write_bio_PUBKEY(open.get(), key.get()) != 1) {
      return Error{"Cannot make a key for signing configuration files"};
    }
    CONCLAVE_CHECK_STATUS(write_durably(private_file, text_of(secret.get()), 0600));
    CONCLAVE_CHECK_STATUS(write_durably(public_file, text_of(open.get()), 0644));
    signer.key_pem_ = text_of(secret.get());
    return signer;
  }
  if (!pem) return pem.error();
  signer.key_pem_ = std::move(*pem);
  const auto tried = signer.sign("conclave-configuration 1\n");
  if (!tried) return Error{private_file + ": " + tried.error().message};
  return signer;
}

Result<std::string> ConfigSigner::sign(std::string text) const {
  if (is_signed(text)) return text;
  if (!text.empty() && text.back() != '\n') text += '\n';
  const Bio bio(BIO_new_mem_buf(key_pem_.data(), static_cast<int>(key_pem_.size())));
  const Key key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr) : nullptr);
  const Digest context(EVP_MD_CTX_new());
  std::array<unsigned char, 64> signature{};
  std::size_t size = signature.size();
  if (!key || !context || EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519 ||
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size,
                     reinterpret_cast<const unsigned char*>(text.data()), text.size()) != 1) {
    return Error{"the file cannot be signed: the key must be an Ed25519 private key in PEM"};
  }
  std::array<unsigned char, 96> encoded{};
  const int length = EVP_EncodeBlock(encoded.data(), signature.data(), static_cast<int>(size));
  text += kWord;
  text.append(reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(length));
  return text + "\n";
}

}  // namespace conclave::service
