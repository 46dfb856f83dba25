// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace conclave::media::turn {

struct StreamConfig {
  std::string host;  ///< name or literal; also what the certificate must say
  int port = 0;
  bool tls = true;      ///< chain and name are always verified
  std::string ca_file;  ///< PEM; empty: the CAs of the system
  std::string proxy;    ///< http://host:port; empty: straight
  std::string proxy_user, proxy_password;
  std::chrono::milliseconds timeout{4000};  ///< for all of connecting
};

/// Why a connection could not be had, as libcurl tells it; for the error catalogue.
struct StreamFailure {
  int curl_code = 0;
  long os_errno = 0;
  long connect_code = 0;  ///< the proxy's answer to CONNECT
  bool via_proxy = false;
  bool handshaken = false;  ///< TLS with the server was done
  std::string detail;
};

/// A byte stream to a server: TCP or TLS, straight or through an HTTP proxy by CONNECT with Basic,
/// Digest or NTLM. One thread; not blocking once it is open.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// Blocks until the stream is there, at most for the time-out. On failure `failure` says why.
  static Result<std::unique_ptr<ByteStream>> open(const StreamConfig& config,
                                                  StreamFailure* failure = nullptr);

  virtual int fd() const = 0;
  /// Bytes read; 0: none at the moment; -1: closed or broken.
  virtual std::ptrdiff_t receive(std::span<std::uint8_t> buffer) = 0;
  /// Bytes taken, maybe less than given; -1: broken.
  virtual std::ptrdiff_t send(std::span<const std::uint8_t> bytes) = 0;
};

}  // namespace conclave::media::turn
