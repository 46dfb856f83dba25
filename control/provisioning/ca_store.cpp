// SPDX-License-Identifier: Apache-2.0
#include "control/provisioning/ca_store.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "base/durable_file.h"
#include "base/free_with.h"
#include "base/log.h"
#include "service/protocol/messages.h"

namespace conclave::control {
namespace {

constexpr int kMaxCertificates = 32;

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

using Certificate = std::unique_ptr<X509, FreeWith<X509_free>>;
using Bio = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;

/// The certificates alone: what else stood in the file is left out.
Result<std::string> checked(std::string_view pem) {
  if (pem.size() > CaStore::kMaxBytes) return Error{"the file is larger than 64 KiB"};
  const Bio in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const Bio out(BIO_new(BIO_s_mem()));
  int count = 0;
  while (in && out) {
    const Certificate c(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
    if (!c) break;
    if (++count > kMaxCertificates) return Error{"the file holds more than 32 certificates"};
    const std::string which = "certificate " + std::to_string(count);
    if (X509_check_ca(c.get()) == 0) return Error{which + " is not of a CA"};
    if (X509_cmp_current_time(X509_get0_notAfter(c.get())) < 0) {
      return Error{which + " has expired"};
    }
    if (PEM_write_bio_X509(out.get(), c.get()) != 1) return Error{which + " cannot be written"};
  }
  ERR_clear_error();
  if (count == 0) return Error{"the file holds no certificate in PEM"};
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

}  // namespace

Result<bool> CaStore::keep(std::string_view pem) {
  CONCLAVE_TRY(const std::string good, checked(pem));
  if (slurp(downloaded()) == good) return false;
  CONCLAVE_CHECK_STATUS(write_durably(downloaded(), good, 0644));
  return true;
}

bool CaStore::forget() {
  std::error_code ignored;
  return std::filesystem::remove(downloaded(), ignored);
}

CaStore::Trust CaStore::trust(const Registry& settings) {
  const std::string service = settings.get_text(Key::kSecurityCertificatesServiceCa);
  const std::string trusted = settings.get_text(Key::kSecurityCertificatesTrusted);
  std::error_code ignored;
  std::vector<std::string> extra;
  if (!trusted.empty()) extra.push_back(trusted);
  if (std::filesystem::exists(downloaded(), ignored)) extra.push_back(downloaded());
  if (extra.empty()) return {service, false};
  std::string all = service.empty() ? "" : slurp(service);
  for (const auto& file : extra) all += "\n" + slurp(file);
  const std::string bundle = folder_ + "/ca-bundle.pem";
  if (slurp(bundle) != all) {
    if (const Status kept = write_durably(bundle, all, 0644); !kept) {
      log::warning("certificates", kept.error().message);
      return {service, false};
    }
  }
  return {bundle, service.empty()};
}

std::string device_certificate_file(const Registry& settings, const std::string& data_folder) {
  std::string file = settings.get_text(Key::kSecurityCertificatesDevice);
  if (!file.empty()) return file;
  file = data_folder + "/device.pem";
  return ::access(file.c_str(), R_OK) == 0 ? file : std::string();
}

std::string serial_of_certificate(const std::string& file) {
  const std::string pem = slurp(file);
  const Bio in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const Certificate c(in ? PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr) : nullptr);
  ERR_clear_error();
  if (!c) return {};
  std::array<char, 80> text{};
  const int length = X509_NAME_get_text_by_NID(X509_get_subject_name(c.get()), NID_serialNumber,
                                               text.data(), static_cast<int>(text.size()));
  const std::string serial(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  return service::protocol::valid_identifier(serial) ? serial : std::string();
}

}  // namespace conclave::control
