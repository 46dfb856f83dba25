// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace conclave::control::web {

enum class Method { kGet, kHead, kPost, kOther };

/// One request, already bounded in size. Header values are as sent.
struct Request {
  Method method = Method::kOther;
  std::string path;   ///< decoded, begins with '/'
  std::string query;  ///< without '?'
  std::string host, origin, cookie, content_type, authorization, accept, accept_encoding;
  std::string if_none_match, fetch_site;
  std::string content_length, transfer_encoding;
  std::string upgrade, websocket_version, websocket_protocol;
  std::string body;
  std::string address;  ///< of the peer, without port
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::shared_ptr<const std::string> body = std::make_shared<std::string>();
  std::vector<std::pair<std::string, std::string>> headers{};

  static Response json(int status, std::string text) {
    return {status,
            "application/json",
            std::make_shared<std::string>(std::move(text)),
            {{"cache-control", "no-store"}}};
  }
  /// {"error":{"message":...}}; `message` is ours, plain ASCII without quotes.
  static Response error(int status, std::string_view message) {
    return json(status, "{\"error\":{\"message\":\"" + std::string(message) + "\"}}");
  }
};

/// Called once, on any thread.
using Respond = std::function<void(Response)>;

/// What the server does not know itself: everything behind the paths.
class Handler {
 public:
  virtual ~Handler() = default;
  /// Web thread; answers now or later, on any thread.
  virtual void handle(const Request& request, Respond respond) = 0;
  /// Whether a WebSocket may open: 0 yes, otherwise the status to refuse with.
  virtual int accept_socket(const Request& request) = 0;
};

/// Value of a cookie by its exact name; empty when absent or given twice.
std::string cookie_value(std::string_view cookies, std::string_view name);
/// Value of a query parameter, not decoded; empty when absent.
std::string query_value(std::string_view query, std::string_view name);

/// Checks of every request, before anything else looks at it.
class Guard {
 public:
  /// `names`: DNS names beside localhost and IP literals by which the phone may be addressed. A
  /// foreign page can make its own name point here (DNS rebinding), but not an address.
  explicit Guard(std::vector<std::string> names, int port)
      : names_(std::move(names)), port_(port) {}

  bool host_ok(std::string_view host) const;
  /// Scheme https and the very host of the request.
  static bool origin_ok(std::string_view origin, std::string_view host);
  /// 0, or the status of the refusal: 400 for broken framing, 403 for foreign Origin, 405, 411,
  /// 413, 421 for a foreign Host.
  int check(const Request& request, std::size_t max_body) const;

 private:
  std::vector<std::string> names_;
  int port_;
};

/// CSP and the other security headers; `host` must have passed the guard.
std::vector<std::pair<std::string, std::string>> security_headers(std::string_view host);

}  // namespace conclave::control::web
