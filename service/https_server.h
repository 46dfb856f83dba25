// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::service {

enum class HttpMethod { kGet, kPost, kDelete };

/// A request that passed the server's checks: known method, whole body within the limit, the right
/// Host, no foreign Origin.
struct HttpRequest {
  HttpMethod method = HttpMethod::kGet;
  std::string path{};   ///< decoded, normalised, begins with '/'
  std::string query{};  ///< without '?'
  std::string bearer{};
  std::string body{};
  std::string peer{};  ///< address literal
  /// SHA-256 of the client's certificate (DER), lower-case hex; empty when it showed none. TLS has
  /// proven that the client holds the key; nobody has looked at who issued it.
  std::string certificate{};
  std::string certificate_der{};  ///< the same certificate as it came
  std::string if_none_match{};    ///< header If-None-Match as it came
  bool final = false;             ///< asked again after HttpAnswer::wait_s has passed: answer now
};

struct HttpAnswer {
  int status = 200;
  std::string body{};     ///< JSON, or empty
  int retry_after_s = 0;  ///< > 0: header Retry-After
  /// > 0: no answer yet. The server asks again with the same request when notify() is called, and
  /// with `final` set when this many seconds have passed since the request came.
  int wait_s = 0;
  std::string content_type = "application/json";
  std::string location{};  ///< header Location, of a redirect
  std::string etag{};      ///< header ETag, with its quotes; empty: none
  /// For a browser: a strict content security policy goes with it.
  bool page = false;
  /// Misbehaviour on order: says nothing, hangs up, sends for ever, or a byte a second.
  enum class Conduct { kProper, kSilent, kClose, kEndless, kSlow };
  Conduct conduct = Conduct::kProper;
};

struct HttpsConfig {
  std::string address = "127.0.0.1";  ///< literal to listen on
  int port = 0;                       ///< 0: a free one
  std::string certificate_file{};
  std::string key_file{};
  std::vector<std::string> host_names{};  ///< accepted in Host, besides `address` and loopback
  /// Below it pages of this server may ask (an Origin that equals Host); empty: nowhere.
  std::string browser_path{};
  std::size_t max_body_bytes = 4 * 1024;
  /// Below these paths a body may be longer.
  std::vector<std::string> roomy_paths{};
  std::size_t roomy_body_bytes = 256 * 1024;
  int request_timeout_s = 10;  ///< from accept or last answer to the whole request
  int max_connections = 256;   ///< four fifths of them may wait for news
};

/// A small HTTPS server for JSON requests: TLS 1.2 and up, HTTP/1.1, on libwebsockets and one
/// thread of its own, on which the handler runs too.
///
/// It refuses by itself: methods other than GET, POST, DELETE; a missing or foreign Host (421); any
/// Origin (403: no browser has business here, but for pages of this server below
/// HttpsConfig::browser_path); Transfer-Encoding (501); bodies without
/// Content-Length (411) or too long (413); bodies that are not announced as JSON (415). Whoever
/// takes longer than the time limit for a request is cut off. Connections are kept open only after
/// a good request, and after any refusal they are closed, so that no left-over bytes can be read as
/// a second request.
class HttpsServer {
 public:
  using Handler = std::function<HttpAnswer(const HttpRequest&)>;
  virtual ~HttpsServer() = default;  ///< stops

  static Result<std::unique_ptr<HttpsServer>> start(const HttpsConfig& config, Handler handler);

  virtual int port() const = 0;
  /// Waiting requests are asked again. Any thread; returns at once.
  virtual void notify() = 0;
};

}  // namespace conclave::service
