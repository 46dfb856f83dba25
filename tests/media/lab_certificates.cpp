// SPDX-License-Identifier: Apache-2.0
#include "tests/media/lab_certificates.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace conclave::media {
namespace {

void require(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(what);
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  require(extension != nullptr, "extension");
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

X509* make(EVP_PKEY* key, const std::string& common_name, X509* issuer, EVP_PKEY* issuer_key,
           long serial, int days, const std::string& alternative_names) {
  X509* c = X509_new();
  X509_set_version(c, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(c), serial);
  X509_gmtime_adj(X509_getm_notBefore(c), -86400L * 10);
  X509_gmtime_adj(X509_getm_notAfter(c), 86400L * days);
  X509_set_pubkey(c, key);
  X509_NAME* name = X509_get_subject_name(c);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  X509* by = issuer != nullptr ? issuer : c;
  X509_set_issuer_name(c, X509_get_subject_name(by));
  add_extension(c, by, NID_basic_constraints, issuer != nullptr ? "CA:FALSE" : "critical,CA:TRUE");
  add_extension(c, by, NID_subject_key_identifier, "hash");
  if (!alternative_names.empty()) add_extension(c, by, NID_subject_alt_name, alternative_names);
  require(X509_sign(c, issuer_key, EVP_sha256()) != 0, "sign");
  return c;
}

template <typename Write>
void save(const std::string& path, Write write) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  require(file != nullptr, "file");
  write(file);
  std::fclose(file);
}

}  // namespace

struct LabAuthority::State {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = nullptr;
  long serial = 1;
};

LabAuthority::LabAuthority(const test::TempFolder& folder, const std::string& name)
    : state_(new State), folder_(folder), ca_file_(folder.path(name + "-ca.pem")) {
  state_->certificate = make(state_->key, name, nullptr, state_->key, 1, 30, "");
  save(ca_file_, [&](std::FILE* f) { PEM_write_X509(f, state_->certificate); });
}

LabAuthority::~LabAuthority() {
  X509_free(state_->certificate);
  EVP_PKEY_free(state_->key);
  delete state_;
}

LabAuthority::Files LabAuthority::issue(const std::string& name,
                                        const std::string& alternative_names,
                                        const std::string& common_name, int valid_days) const {
  Files files{folder_.path(name + ".pem"), folder_.path(name + ".key")};
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* c = make(key, common_name, state_->certificate, state_->key, ++state_->serial, valid_days,
                 alternative_names);
  save(files.certificate, [&](std::FILE* f) { PEM_write_X509(f, c); });
  save(files.key,
       [&](std::FILE* f) { PEM_write_PrivateKey(f, key, nullptr, nullptr, 0, nullptr, nullptr); });
  X509_free(c);
  EVP_PKEY_free(key);
  return files;
}

}  // namespace conclave::media
