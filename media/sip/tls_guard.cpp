// SPDX-License-Identifier: Apache-2.0
#include "media/sip/tls_guard.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

namespace conclave::media {
namespace {

/// The guard of this thread; OpenSSL's notices carry no context of ours.
thread_local TlsGuard* guard_here = nullptr;

bool is_address(const std::string& name) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

/// The subject's common name is no name of a server any more (RFC 6125, RFC 9525).
bool names(X509* certificate, const std::string& name) {
  if (is_address(name)) return X509_check_ip_asc(certificate, name.c_str(), 0) == 1;
  return X509_check_host(certificate, name.c_str(), name.size(),
                         X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                         nullptr) == 1;
}

std::string why_errno(const std::string& what) { return what + ": " + std::strerror(errno); }

Result<std::string> read_file(const std::string& path, const char* what) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{why_errno("cannot read the " + std::string(what) + " " + path)};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

Status write_file(const std::string& path, std::string_view text, mode_t mode) {
  // A new file each time, so that an old one's wider rights or a link are not inherited.
  unlink(path.c_str());
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) return Error{why_errno("cannot write " + path)};
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  if (close(fd) != 0 || done != text.size()) return Error{why_errno("cannot write " + path)};
  return {};
}

}  // namespace

void TlsGuard::context_made(void* parent, void*, CRYPTO_EX_DATA*, int, long, void*) {
  if (guard_here != nullptr && guard_here->capturing_) {
    guard_here->contexts_.push_back(static_cast<SSL_CTX*>(parent));
  }
}

void TlsGuard::context_gone(void* parent, void*, CRYPTO_EX_DATA*, int, long, void*) {
  if (guard_here != nullptr) std::erase(guard_here->contexts_, static_cast<SSL_CTX*>(parent));
}

void TlsGuard::discard() {
  std::vector<SSL_CTX*> left;
  left.swap(contexts_);
  for (SSL_CTX* context : left) SSL_CTX_free(context);
}

void TlsGuard::bio_made(void* parent, void*, CRYPTO_EX_DATA*, int, long, void*) {
  auto* bio = static_cast<BIO*>(parent);
  if (guard_here != nullptr && BIO_method_type(bio) == BIO_TYPE_SOCKET) {
    guard_here->newest_bio_ = bio;
  }
}

void TlsGuard::connection_made(void* parent, void*, CRYPTO_EX_DATA*, int, long, void*) {
  if (guard_here == nullptr || guard_here->newest_bio_ == nullptr) return;
  // The library makes the BIO of a socket, then the SSL that it goes with.
  BIO_set_callback_ex(guard_here->newest_bio_, &TlsGuard::bio_event);
  guard_here->connections_.push_back({static_cast<SSL*>(parent), guard_here->newest_bio_});
  guard_here->newest_bio_ = nullptr;
}

/// A library that does free its connections: nothing to do for them.
void TlsGuard::connection_gone(void* parent, void*, CRYPTO_EX_DATA*, int, long, void*) {
  if (guard_here == nullptr) return;
  std::erase_if(guard_here->connections_,
                [parent](const Connection& c) { return c.ssl == static_cast<SSL*>(parent); });
}

long TlsGuard::bio_event(BIO* bio, int operation, const char*, std::size_t, int, long, int result,
                         std::size_t*) {
  if (operation != BIO_CB_FREE || guard_here == nullptr || !guard_here->asking_) return result;
  guard_here->was_last_ = true;
  BIO_up_ref(bio);
  return 0;  // not now
}

/// OpenSSL tells no reference counts, but it asks before it frees something for good.
bool TlsGuard::last_owner(BIO* bio) {
  asking_ = true;
  was_last_ = false;
  BIO_free(bio);
  asking_ = false;
  if (!was_last_) BIO_up_ref(bio);
  return was_last_;
}

/// The slot in every SSL_CTX where its guard is found again. Taking the slots is what makes OpenSSL
/// tell of every object that is made.
int TlsGuard::guard_slot() {
  static const int slot = [] {
    CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_BIO, 0, nullptr, &TlsGuard::bio_made, nullptr, nullptr);
    CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, nullptr, &TlsGuard::connection_made, nullptr,
                            &TlsGuard::connection_gone);
    return CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL_CTX, 0, nullptr, &TlsGuard::context_made,
                                   nullptr, &TlsGuard::context_gone);
  }();
  return slot;
}

TlsGuard::TlsGuard(Config config, Expected expected, Refused refused)
    : config_(std::move(config)), expected_(std::move(expected)), refused_(std::move(refused)) {
  (void)guard_slot();
  guard_here = this;
}

TlsGuard::~TlsGuard() {
  sweep();
  if (guard_here == this) guard_here = nullptr;
}

void TlsGuard::sweep() {
  std::vector<Connection> all;
  all.swap(connections_);
  for (const Connection& c : all) {
    // Two references while the library is there: its own, and one for both uses by the SSL.
    if (!last_owner(c.bio)) {
      connections_.push_back(c);
      continue;
    }
    BIO_up_ref(c.bio);                       // the SSL gives back one for each of its two
    SSL_CTX_up_ref(SSL_get_SSL_CTX(c.ssl));  // the one that the library should have kept
    SSL_free(c.ssl);
  }
}

void TlsGuard::begin_capture() {
  contexts_.clear();
  capturing_ = true;
}

Status TlsGuard::end_capture() {
  capturing_ = false;
  if (contexts_.empty()) return Error{"TLS could not be set up: the SIP library made no context"};
  for (SSL_CTX* context : contexts_) {
    SSL_CTX_set_ex_data(context, guard_slot(), this);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_cert_verify_callback(context, &TlsGuard::verify, this);
    SSL_CTX_set_info_callback(context, &TlsGuard::handshake_event);
    SSL_CTX_set_verify(context, config_.verify_server ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (!config_.certificate_chain.empty() &&
        SSL_CTX_use_certificate_chain_file(context, config_.certificate_chain.c_str()) != 1) {
      ERR_clear_error();
      return Error{"cannot use the certificate in " + config_.certificate_chain};
    }
    if (!config_.certificate_chain.empty() && SSL_CTX_check_private_key(context) != 1) {
      ERR_clear_error();
      return Error{"the private key does not belong to the certificate"};
    }
  }
  return {};
}

void TlsGuard::handshake_event(const SSL* ssl, int where, int) {
  if ((where & SSL_CB_HANDSHAKE_START) == 0) return;
  const auto* self =
      static_cast<TlsGuard*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), guard_slot()));
  if (self == nullptr) return;
  // OpenSSL hands out a const SSL here, yet it is the connection's own thread, before any hello.
  SSL* connection = const_cast<SSL*>(ssl);
  if (SSL_is_server(ssl) != 0) {
    // A server's side asks for no certificate: phones are known by their tokens.
    SSL_set_verify(connection, SSL_VERIFY_NONE, nullptr);
    return;
  }
  const auto expected = self->expected_();
  if (expected.size() == 1 && !is_address(expected.front())) {
    SSL_set_tlsext_host_name(connection, expected.front().c_str());
  }
}

int TlsGuard::verify(X509_STORE_CTX* store, void* self) {
  return static_cast<TlsGuard*>(self)->verify(store);
}

int TlsGuard::verify(X509_STORE_CTX* store) {
  const auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  if (!config_.verify_server || (ssl != nullptr && SSL_is_server(ssl) != 0)) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
  }
  if (X509_verify_cert(store) != 1) {
    const int error = X509_STORE_CTX_get_error(store);
    refused_(std::string("the server's certificate is not trusted: ") +
             X509_verify_cert_error_string(error));
    return 0;
  }
  X509* certificate = X509_STORE_CTX_get0_cert(store);
  std::string wanted;
  for (const auto& name : expected_()) {
    if (names(certificate, name)) return 1;
    wanted += (wanted.empty() ? "" : ", ") + name;
  }
  X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
  refused_("the server's certificate does not name " + wanted);
  return 0;
}

Status prepare_tls_folder(const std::string& folder, const std::string& ca_file,
                          const std::string& certificate_file, const std::string& key_file,
                          bool need_ca) {
  if (folder.empty()) return Error{"a folder for the TLS files must be given"};
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error || chmod(folder.c_str(), 0700) != 0) {
    return Error{why_errno("cannot make the folder " + folder)};
  }
  std::string ca;
  if (!ca_file.empty()) {
    CONCLAVE_TRY(ca, read_file(ca_file, "CA file"));
  } else if (need_ca) {
    return Error{"a CA file must be given so that servers can be verified"};
  }
  if (certificate_file.empty() != key_file.empty()) {
    return Error{"certificate and private key must be given together"};
  }
  const std::string agent = folder + "/agent.pem";
  unlink(agent.c_str());
  if (!certificate_file.empty()) {
    CONCLAVE_TRY(auto certificate, read_file(certificate_file, "certificate"));
    CONCLAVE_TRY(auto key, read_file(key_file, "private key"));
    // Without a CA the library still wants a readable file: one's own certificate vouches for
    // nobody else.
    if (ca.empty()) ca = certificate;
    std::string both = certificate + "\n" + key;
    auto status = write_file(agent, both, 0600);
    OPENSSL_cleanse(both.data(), both.size());
    OPENSSL_cleanse(key.data(), key.size());
    if (!status) return status;
  }
  if (ca.empty()) return Error{"TLS needs a CA file, or a certificate with its private key"};
  return write_file(folder + "/cafile.pem", ca, 0600);
}

}  // namespace conclave::media
