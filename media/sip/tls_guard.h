// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/ssl.h>

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::media {

/// Who the other end of a TLS connection may be, decided by us.
///
/// sofia-sip's own check cannot be relied on: it looks for subjectAltName entries of type "IP",
/// which OpenSSL calls "IP Address", so a server known by its address never matches, and it sends
/// no server name (SNI). So the guard takes hold of each SSL_CTX while the library makes it
/// (OpenSSL calls back for every new one) and puts its own verification there: chain, purpose,
/// dates, and a name among those that calls are being made to. The check is part of the handshake:
/// not one byte of SIP leaves before it has passed.
///
/// It also frees what the library forgets: 1.12.11 never calls SSL_free, which would cost some 70
/// KB for each connection that a service ever had.
///
/// All on the signalling thread, of which each has at most one guard.
class TlsGuard {
 public:
  struct Config {
    bool verify_server = true;
    std::string certificate_chain;  ///< PEM file; empty: none
  };
  /// The names that a server may show now: DNS names or IP literals.
  using Expected = std::function<std::vector<std::string>()>;
  /// A server was refused: why, in words.
  using Refused = std::function<void(const std::string& why)>;

  TlsGuard(Config config, Expected expected, Refused refused);
  ~TlsGuard();
  TlsGuard(const TlsGuard&) = delete;
  TlsGuard& operator=(const TlsGuard&) = delete;

  /// Between these two, on this thread, every new SSL_CTX becomes guarded.
  void begin_capture();
  /// An error when there was none to guard or it could not be set up.
  Status end_capture();
  /// After the library could not start: frees the contexts that it left behind.
  void discard();
  /// Frees connections that the library is done with. Now and then, not from within the library.
  void sweep();

 private:
  static void context_made(void* parent, void*, CRYPTO_EX_DATA*, int, long, void*);
  static void context_gone(void* parent, void*, CRYPTO_EX_DATA*, int, long, void*);
  static void bio_made(void* parent, void*, CRYPTO_EX_DATA*, int, long, void*);
  static void connection_made(void* parent, void*, CRYPTO_EX_DATA*, int, long, void*);
  static void connection_gone(void* parent, void*, CRYPTO_EX_DATA*, int, long, void*);
  static long bio_event(BIO* bio, int operation, const char*, std::size_t, int, long, int result,
                        std::size_t*);
  static int guard_slot();
  static int verify(X509_STORE_CTX* store, void* self);
  static void handshake_event(const SSL* ssl, int where, int ret);
  int verify(X509_STORE_CTX* store);

  Config config_;
  Expected expected_;
  Refused refused_;
  bool capturing_ = false;
  std::vector<SSL_CTX*> contexts_;
  struct Connection {
    SSL* ssl;
    BIO* bio;
  };
  bool last_owner(BIO* bio);
  BIO* newest_bio_ = nullptr;
  std::vector<Connection> connections_;
  bool asking_ = false;
  bool was_last_ = false;
};

/// Prepares the folder that sofia-sip reads: mode 0700, cafile.pem, and agent.pem (mode 0600) from
/// certificate and key when both are given. Errors name the file and what to do.
Status prepare_tls_folder(const std::string& folder, const std::string& ca_file,
                          const std::string& certificate_file, const std::string& key_file,
                          bool need_ca);

}  // namespace conclave::media
