// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace conclave::control::test {

/// A TLS connection that sends what it is told, byte by byte if need be: for requests that no
/// decent client would send. The server's certificate is not checked.
class TlsClient {
 public:
  explicit TlsClient(int port);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;
  bool ok() const { return ssl_ != nullptr; }
  bool send(const std::string& bytes);
  /// Up to `limit_ms` for at least one byte; empty: closed or nothing came.
  std::string receive(int limit_ms = 3000);
  bool closed() const { return closed_; }

 private:
  int fd_ = -1;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  bool closed_ = false;
};

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
};

/// One request on a connection of its own. `extra` are header lines with CRLF; Host is added unless
/// there is one.
HttpAnswer http(int port, const std::string& method, const std::string& path,
                const std::string& extra = "", const std::string& body = "");
/// The same over an open connection.
HttpAnswer http_on(TlsClient& client, const std::string& raw);

/// A WebSocket client that can also misbehave.
class WebSocket {
 public:
  struct Message {
    int opcode = 0;
    std::string data;
    std::uint16_t close_code() const {
      return data.size() < 2 ? std::uint16_t{0}
                             : static_cast<std::uint16_t>(static_cast<unsigned char>(data[0]) << 8 |
                                                          static_cast<unsigned char>(data[1]));
    }
  };
  /// `headers` replace the usual ones of the same name; an empty value leaves one out.
  WebSocket(int port, const std::string& cookie,
            const std::map<std::string, std::string>& headers = {});
  int status() const { return status_; }
  bool open() const { return status_ == 101; }
  void text(const std::string& text) { frame(0x81, text); }
  /// A frame with this first byte; `masked` false is against the protocol.
  void frame(int first_byte, const std::string& data, bool masked = true);
  /// The next message that is no ping; nothing within `limit_ms`, or closed.
  std::optional<Message> next(int limit_ms = 3000);
  /// The next text message with this in it.
  std::optional<std::string> text_with(const std::string& part, int limit_ms = 3000);
  bool closed() const { return client_->closed(); }
  TlsClient& raw() { return *client_; }

 private:
  std::unique_ptr<TlsClient> client_;
  std::string buffer_;
  int status_ = 0;
};

}  // namespace conclave::control::test
