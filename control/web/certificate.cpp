// SPDX-License-Identifier: Apache-2.0
#include "control/web/certificate.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/log.h"
#include "control/settings/value.h"

namespace conclave::control::web {
namespace {

template <typename T, void (*F)(T*)>
struct Deleter {
  void operator()(T* p) const { F(p); }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY, EVP_PKEY_free>>;
using CertPtr = std::unique_ptr<X509, Deleter<X509, X509_free>>;
struct CloseFile {
  void operator()(std::FILE* f) const { std::fclose(f); }
};
using FilePtr = std::unique_ptr<std::FILE, CloseFile>;

Error crypto_error(const std::string& what) {
  std::array<char, 200> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return Error{what + ": " + text.data()};
}

CertPtr read_certificate(const std::string& path) {
  const FilePtr file(std::fopen(path.c_str(), "re"));
  return CertPtr(file ? PEM_read_X509(file.get(), nullptr, nullptr, nullptr) : nullptr);
}

bool usable(const CertificateFiles& files) {
  const CertPtr cert = read_certificate(files.certificate);
  const FilePtr file(std::fopen(files.key.c_str(), "re"));
  const KeyPtr key(file ? PEM_read_PrivateKey(file.get(), nullptr, nullptr, nullptr) : nullptr);
  ERR_clear_error();
  return cert && key && X509_check_private_key(cert.get(), key.get()) == 1 &&
         X509_cmp_current_time(X509_get0_notAfter(cert.get())) > 0;
}

std::string alternative_names(const std::vector<std::string>& names) {
  std::string out = "DNS:localhost,IP:127.0.0.1,IP:::1";
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) == 0 && is_dns_name(host.data())) {
    out += std::string(",DNS:") + host.data();
  }
  for (const std::string& name : names) {
    if (is_ip_address(name)) {
      if (name != "0.0.0.0" && name != "::") out += ",IP:" + name;
    } else if (is_dns_name(name)) {
      out += ",DNS:" + name;
    }
  }
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) == 0) {
    for (const ifaddrs* at = all; at != nullptr; at = at->ifa_next) {
      if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET) continue;
      std::array<char, NI_MAXHOST> text{};
      if (getnameinfo(at->ifa_addr, sizeof(sockaddr_in), text.data(), text.size(), nullptr, 0,
                      NI_NUMERICHOST) == 0 &&
          std::strcmp(text.data(), "127.0.0.1") != 0) {
        out += std::string(",IP:") + text.data();
      }
    }
    freeifaddrs(all);
  }
  return out;
}

bool add_extension(X509* cert, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, cert, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) return false;
  const bool added = X509_add_ext(cert, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

Result<CertPtr> make_certificate(EVP_PKEY* key, const std::vector<std::string>& names) {
  CertPtr cert(X509_new());
  std::array<unsigned char, 16> serial{};
  if (!cert || RAND_bytes(serial.data(), serial.size()) != 1) {
    return crypto_error("cannot make a certificate");
  }
  serial[0] &= 0x7f;
  BIGNUM* number = BN_bin2bn(serial.data(), serial.size(), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert.get()));
  BN_free(number);
  X509_set_version(cert.get(), 2);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -86400);  // clocks differ
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), 824L * 86400);
  X509_set_pubkey(cert.get(), key);
  X509_NAME* name = X509_get_subject_name(cert.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("Conclave phone"), -1, -1, 0);
  X509_set_issuer_name(cert.get(), name);
  if (!add_extension(cert.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(cert.get(), NID_key_usage, "critical,digitalSignature") ||
      !add_extension(cert.get(), NID_ext_key_usage, "serverAuth") ||
      !add_extension(cert.get(), NID_subject_key_identifier, "hash") ||
      !add_extension(cert.get(), NID_subject_alt_name, alternative_names(names)) ||
      X509_sign(cert.get(), key, EVP_sha256()) == 0) {
    return crypto_error("cannot sign the web certificate");
  }
  return cert;
}

FilePtr open_private(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return nullptr;
  if (::fchmod(fd, 0600) != 0) {
    ::close(fd);
    return nullptr;
  }
  return FilePtr(::fdopen(fd, "w"));
}

}  // namespace

Result<CertificateFiles> ensure_certificate(const std::string& folder,
                                            const std::vector<std::string>& names) {
  CertificateFiles files{folder + "/web-cert.pem", folder + "/web-key.pem"};
  if (usable(files)) return files;
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return crypto_error("cannot make a key");
  CONCLAVE_TRY(const CertPtr cert, make_certificate(key.get(), names));
  {
    const FilePtr key_file = open_private(files.key);
    const FilePtr cert_file = open_private(files.certificate);
    if (!key_file || !cert_file ||
        PEM_write_PrivateKey(key_file.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
            1 ||
        PEM_write_X509(cert_file.get(), cert.get()) != 1 || std::fflush(key_file.get()) != 0 ||
        std::fflush(cert_file.get()) != 0 || ::fsync(::fileno(key_file.get())) != 0) {
      return Error{"cannot write the web certificate to " + folder + ": " + std::strerror(errno) +
                   "; check the folder's owner and the space left"};
    }
  }
  log::info("web", "made a certificate for the web interface", {{"file", files.certificate}});
  return files;
}

Result<std::string> certificate_fingerprint(const std::string& file) {
  const CertPtr cert = read_certificate(file);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  if (!cert || X509_digest(cert.get(), EVP_sha256(), digest.data(), &length) != 1) {
    return crypto_error("cannot read the certificate " + file);
  }
  std::string out;
  for (unsigned int i = 0; i < length; ++i) {
    if (i > 0) out += ':';
    out += "0123456789ABCDEF"[digest[i] >> 4];
    out += "0123456789ABCDEF"[digest[i] & 15];
  }
  return out;
}

}  // namespace conclave::control::web
