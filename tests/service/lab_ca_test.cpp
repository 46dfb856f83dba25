// SPDX-License-Identifier: Apache-2.0
#include "service/lab_ca.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "tests/support/temp_folder.h"

namespace conclave::service {
namespace {

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

struct Free {
  void operator()(X509* c) const { X509_free(c); }
};
std::unique_ptr<X509, Free> load(const std::string& path) {
  const std::string text = slurp(path);
  BIO* bio = BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
  std::unique_ptr<X509, Free> out(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
  BIO_free(bio);
  return out;
}

unsigned mode(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
}

struct LabCa : testing::Test {
  test::TempFolder temporary;
  const std::string& folder = temporary.path();
};

TEST_F(LabCa, server_certificate_is_valid_for_its_names_and_signed_by_the_ca) {
  const auto files = ensure_lab_certificates(folder, {"localhost", "127.0.0.1", "10.1.2.3"});
  ASSERT_TRUE(files.ok()) << files.error().message;
  EXPECT_EQ(mode(files->key_file), 0600u);
  EXPECT_EQ(mode(folder + "/ca.key"), 0600u);
  const auto ca = load(files->ca_file);
  const auto server = load(files->certificate_file);
  ASSERT_TRUE(ca && server);
  EXPECT_EQ(X509_check_host(server.get(), "localhost", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_ip_asc(server.get(), "127.0.0.1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(server.get(), "10.1.2.3", 0), 1);
  EXPECT_NE(X509_check_host(server.get(), "example.org", 0, 0, nullptr), 1);

  X509_STORE* store = X509_STORE_new();
  X509_STORE_add_cert(store, ca.get());
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, server.get(), nullptr);
  X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
  EXPECT_EQ(X509_verify_cert(context), 1)
      << X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
}

TEST_F(LabCa, what_is_there_is_used_again) {
  ASSERT_TRUE(ensure_lab_certificates(folder, {"localhost"}).ok());
  const std::string ca = slurp(folder + "/ca.pem");
  const std::string server = slurp(folder + "/server.pem");
  ASSERT_TRUE(ensure_lab_certificates(folder, {"localhost"}).ok());
  EXPECT_EQ(slurp(folder + "/ca.pem"), ca);
  EXPECT_EQ(slurp(folder + "/server.pem"), server);
  // A new name asks for a new server certificate, but phones keep their CA.
  ASSERT_TRUE(ensure_lab_certificates(folder, {"localhost", "10.0.0.1"}).ok());
  EXPECT_EQ(slurp(folder + "/ca.pem"), ca);
  EXPECT_NE(slurp(folder + "/server.pem"), server);
}

TEST_F(LabCa, damaged_files_are_replaced) {
  ASSERT_TRUE(ensure_lab_certificates(folder, {"localhost"}).ok());
  std::ofstream(folder + "/server.key") << "no key";
  ASSERT_TRUE(ensure_lab_certificates(folder, {"localhost"}).ok());
  EXPECT_NE(slurp(folder + "/server.key"), "no key");
  const std::string ca = slurp(folder + "/ca.pem");
  std::filesystem::remove(folder + "/ca.key");
  ASSERT_TRUE(ensure_lab_certificates(folder, {"localhost"}).ok());
  EXPECT_NE(slurp(folder + "/ca.pem"), ca);
}

TEST_F(LabCa, names_cannot_smuggle_extensions) {
  EXPECT_FALSE(ensure_lab_certificates(folder, {"localhost,DNS:bank.example"}).ok());
  EXPECT_FALSE(ensure_lab_certificates(folder, {""}).ok());
  EXPECT_FALSE(ensure_lab_certificates("/proc/nothing/here", {"localhost"}).ok());
}

}  // namespace
}  // namespace conclave::service
