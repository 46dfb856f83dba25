// SPDX-License-Identifier: Apache-2.0
#include "service/lab_ca.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>

#include "base/durable_file.h"
#include "base/free_with.h"
#include "service/protocol/messages.h"

namespace conclave::service {
namespace {

using Key = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, FreeWith<X509_free>>;
using Bio = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;

constexpr long kCaSeconds = 10L * 365 * 86400;
constexpr long kServerSeconds = 397L * 86400;
constexpr long kRenewSeconds = 30L * 86400;
constexpr long kDeviceSeconds = 5L * 365 * 86400;

Error crypto_error(const std::string& what) {
  const unsigned long code = ERR_get_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  ERR_clear_error();
  return {what + " failed" + (reason != nullptr ? std::string(": ") + reason : std::string()) +
          "; remove the certificate files of the data folder to have them made anew"};
}

template <typename T, typename Writer>
Result<std::string> to_pem(Writer writer, T* object) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || writer(bio.get(), object) != 1) return crypto_error("Writing PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

Result<std::string> key_to_pem(EVP_PKEY* key) {
  return to_pem(
      [](BIO* bio, EVP_PKEY* k) {
        return PEM_write_bio_PrivateKey(bio, k, nullptr, nullptr, 0, nullptr, nullptr);
      },
      key);
}
Result<std::string> certificate_to_pem(X509* certificate) {
  return to_pem([](BIO* bio, X509* c) { return PEM_write_bio_X509(bio, c); }, certificate);
}

Key load_key(const std::string& path) {
  const Bio bio(BIO_new_file(path.c_str(), "r"));
  Key key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr) : nullptr);
  ERR_clear_error();
  return key;
}
Certificate load_certificate(const std::string& path) {
  const Bio bio(BIO_new_file(path.c_str(), "r"));
  Certificate certificate(bio ? PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr) : nullptr);
  ERR_clear_error();
  return certificate;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  const bool ok = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return ok;
}

bool is_address(const std::string& name) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(AF_INET, name.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, name.c_str(), bytes) == 1;
}

Certificate blank(const char* common_name, EVP_PKEY* key, long seconds) {
  Certificate c(X509_new());
  unsigned char serial[16];
  if (!c || RAND_bytes(serial, sizeof serial) != 1) return nullptr;
  serial[0] &= 0x7f;  // serial numbers are positive
  BIGNUM* number = BN_bin2bn(serial, sizeof serial, nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(c.get()));
  BN_free(number);
  X509_set_version(c.get(), X509_VERSION_3);
  // An hour back: a phone whose clock is a little behind must still get in.
  X509_gmtime_adj(X509_getm_notBefore(c.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(c.get()), seconds);
  X509_set_pubkey(c.get(), key);
  X509_NAME* name = X509_get_subject_name(c.get());
  const auto add = [name](const char* field, const char* value) {
    X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(value), -1, -1, 0);
  };
  add("O", "Conclave laboratory");
  add("CN", common_name);
  return c;
}

bool lasts(X509* certificate, long seconds) {
  std::time_t later = std::time(nullptr) + seconds;
  std::time_t now = std::time(nullptr);
  return X509_cmp_time(X509_get0_notAfter(certificate), &later) > 0 &&
         X509_cmp_time(X509_get0_notBefore(certificate), &now) < 0;
}

bool covers(X509* certificate, const std::vector<std::string>& names) {
  return std::all_of(names.begin(), names.end(), [certificate](const std::string& name) {
    return is_address(name)
               ? X509_check_ip_asc(certificate, name.c_str(), 0) == 1
               : X509_check_host(certificate, name.c_str(), name.size(), 0, nullptr) == 1;
  });
}

Status make_ca(const std::string& certificate_file, const std::string& key_file) {
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return crypto_error("Making the CA's key");
  const Certificate c = blank("Conclave laboratory CA", key.get(), kCaSeconds);
  if (!c || X509_set_issuer_name(c.get(), X509_get_subject_name(c.get())) != 1 ||
      !add_extension(c.get(), c.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add_extension(c.get(), c.get(), NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_extension(c.get(), c.get(), NID_subject_key_identifier, "hash") ||
      X509_sign(c.get(), key.get(), EVP_sha256()) == 0) {
    return crypto_error("Making the CA certificate");
  }
  CONCLAVE_TRY(const auto key_pem, key_to_pem(key.get()));
  CONCLAVE_TRY(const auto pem, certificate_to_pem(c.get()));
  CONCLAVE_CHECK_STATUS(write_durably(key_file, key_pem, 0600));
  return write_durably(certificate_file, pem, 0644);
}

Status make_server(const LabCertificates& files, const std::string& ca_key_file,
                   const std::vector<std::string>& names) {
  const Certificate ca = load_certificate(files.ca_file);
  const Key ca_key = load_key(ca_key_file);
  const Key key(EVP_EC_gen("P-256"));
  if (!ca || !ca_key || !key) return crypto_error("Reading the CA");
  std::string alternative;
  for (const auto& name : names) {
    alternative +=
        (alternative.empty() ? "" : ",") + std::string(is_address(name) ? "IP:" : "DNS:") + name;
  }
  const Certificate c = blank("Conclave service", key.get(), kServerSeconds);
  if (!c || X509_set_issuer_name(c.get(), X509_get_subject_name(ca.get())) != 1 ||
      !add_extension(c.get(), ca.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(c.get(), ca.get(), NID_key_usage, "critical,digitalSignature") ||
      !add_extension(c.get(), ca.get(), NID_ext_key_usage, "serverAuth,clientAuth") ||
      !add_extension(c.get(), ca.get(), NID_subject_alt_name, alternative) ||
      !add_extension(c.get(), ca.get(), NID_subject_key_identifier, "hash") ||
      !add_extension(c.get(), ca.get(), NID_authority_key_identifier, "keyid:always") ||
      X509_sign(c.get(), ca_key.get(), EVP_sha256()) == 0) {
    return crypto_error("Making the server certificate");
  }
  CONCLAVE_TRY(const auto key_pem, key_to_pem(key.get()));
  CONCLAVE_TRY(const auto pem, certificate_to_pem(c.get()));
  CONCLAVE_CHECK_STATUS(write_durably(files.key_file, key_pem, 0600));
  return write_durably(files.certificate_file, pem, 0644);
}

bool valid_name(const std::string& name) {
  return !name.empty() && name.size() <= 253 &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
             "0123456789-.:") == std::string::npos;
}

DeviceIdentity::Verdict verdict_of(int error) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return DeviceIdentity::Verdict::kExpired;
    default:
      return DeviceIdentity::Verdict::kUntrusted;
  }
}

}  // namespace

Result<LabCertificates> ensure_lab_certificates(const std::string& folder,
                                                const std::vector<std::string>& wanted_names) {
  std::vector<std::string> names;
  for (const auto& name : wanted_names) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  for (const auto& name : names) {
    if (!valid_name(name)) return Error{"\"" + name + "\" is no host name or address"};
  }
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return Error{"Cannot make the folder " + folder + ": " + std::strerror(errno) +
                 "; choose another one by --data"};
  }
  const LabCertificates files{folder + "/ca.pem", folder + "/server.pem", folder + "/server.key"};
  const std::string ca_key_file = folder + "/ca.key";

  Certificate ca = load_certificate(files.ca_file);
  Key ca_key = load_key(ca_key_file);
  const bool ca_good = ca && ca_key && X509_check_private_key(ca.get(), ca_key.get()) == 1 &&
                       lasts(ca.get(), kServerSeconds / 2);
  if (!ca_good) {
    CONCLAVE_CHECK_STATUS(make_ca(files.ca_file, ca_key_file));
    ca = load_certificate(files.ca_file);
    if (!ca) return crypto_error("Reading the CA");
  }
  const Certificate server = load_certificate(files.certificate_file);
  const Key key = load_key(files.key_file);
  const bool server_good = ca_good && server && key &&
                           X509_check_private_key(server.get(), key.get()) == 1 &&
                           X509_verify(server.get(), X509_get0_pubkey(ca.get())) == 1 &&
                           lasts(server.get(), kRenewSeconds) && covers(server.get(), names);
  ERR_clear_error();
  if (!server_good) CONCLAVE_CHECK_STATUS(make_server(files, ca_key_file, names));
  return files;
}

Status issue_device_certificate(const std::string& folder, const std::string& serial,
                                const std::string& file) {
  if (!protocol::valid_identifier(serial)) {
    return Error{"\"" + serial + "\" is no serial number: letters, digits, '-', '_' and '.'"};
  }
  const Certificate ca = load_certificate(folder + "/ca.pem");
  const Key ca_key = load_key(folder + "/ca.key");
  if (!ca || !ca_key) {
    return Error{"There is no CA in " + folder + "; start conclave-service with it once"};
  }
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return crypto_error("Making the device's key");
  const Certificate c = blank(serial.c_str(), key.get(), kDeviceSeconds);
  if (!c ||
      X509_NAME_add_entry_by_NID(X509_get_subject_name(c.get()), NID_serialNumber, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(serial.data()),
                                 static_cast<int>(serial.size()), -1, 0) != 1 ||
      X509_set_issuer_name(c.get(), X509_get_subject_name(ca.get())) != 1 ||
      !add_extension(c.get(), ca.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(c.get(), ca.get(), NID_key_usage, "critical,digitalSignature") ||
      !add_extension(c.get(), ca.get(), NID_ext_key_usage, "clientAuth") ||
      !add_extension(c.get(), ca.get(), NID_subject_key_identifier, "hash") ||
      !add_extension(c.get(), ca.get(), NID_authority_key_identifier, "keyid:always") ||
      X509_sign(c.get(), ca_key.get(), EVP_sha256()) == 0) {
    return crypto_error("Making the device certificate");
  }
  CONCLAVE_TRY(const auto key_pem, key_to_pem(key.get()));
  CONCLAVE_TRY(const auto pem, certificate_to_pem(c.get()));
  return write_durably(file, pem + key_pem, 0600);
}

DeviceIdentity identify_device(const std::string& ca_file, std::string_view der) {
  using Verdict = DeviceIdentity::Verdict;
  if (der.empty()) return {};
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  const Certificate device(d2i_X509(nullptr, &bytes, static_cast<long>(der.size())));
  const Certificate ca = load_certificate(ca_file);
  const std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)> store(X509_STORE_new(),
                                                                      &X509_STORE_free);
  const std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> context(
      X509_STORE_CTX_new(), &X509_STORE_CTX_free);
  if (!device || !ca || !store || !context || X509_STORE_add_cert(store.get(), ca.get()) != 1 ||
      X509_STORE_CTX_init(context.get(), store.get(), device.get(), nullptr) != 1 ||
      X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_CLIENT) != 1) {
    ERR_clear_error();
    return {Verdict::kUntrusted, {}};
  }
  if (X509_verify_cert(context.get()) != 1) {
    const Verdict verdict = verdict_of(X509_STORE_CTX_get_error(context.get()));
    ERR_clear_error();
    return {verdict, {}};
  }
  std::array<char, protocol::kMaxIdentifier + 2> serial{};
  // The service's own certificate is of this CA and good for clients too; only devices' have this.
  const int length =
      X509_NAME_get_text_by_NID(X509_get_subject_name(device.get()), NID_serialNumber,
                                serial.data(), static_cast<int>(serial.size()));
  const std::string text(serial.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  if (!protocol::valid_identifier(text)) return {Verdict::kNoSerial, {}};
  return {Verdict::kGood, text};
}

}  // namespace conclave::service
