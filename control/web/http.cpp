// SPDX-License-Identifier: Apache-2.0
#include "control/web/http.h"

#include <algorithm>
#include <charconv>

#include "control/settings/value.h"

namespace conclave::control::web {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

bool digits(std::string_view text) {
  return !text.empty() && text.size() <= 12 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string cookie_value(std::string_view cookies, std::string_view name) {
  std::string value;
  bool found = false;
  while (!cookies.empty()) {
    const std::size_t end = cookies.find(';');
    std::string_view item = cookies.substr(0, end);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (item.size() > name.size() && item.starts_with(name) && item[name.size()] == '=') {
      if (found) return {};
      found = true;
      value = item.substr(name.size() + 1);
    }
    cookies = end == std::string_view::npos ? std::string_view{} : cookies.substr(end + 1);
  }
  return value;
}

std::string query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view item = query.substr(0, end);
    if (item.size() > name.size() && item.starts_with(name) && item[name.size()] == '=') {
      return std::string(item.substr(name.size() + 1));
    }
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
  }
  return {};
}

bool Guard::host_ok(std::string_view host) const {
  if (host.empty() || host.size() > 260) return false;
  std::string_view name = host;
  std::string_view port;
  if (host.front() == '[') {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    name = host.substr(1, end - 1);
    const std::string_view rest = host.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return false;
    port = rest.empty() ? rest : rest.substr(1);
    if (!rest.empty() && port.empty()) return false;
    if (name.find(':') == std::string_view::npos || !is_ip_address(name)) return false;
  } else if (const std::size_t colon = host.find(':'); colon != std::string_view::npos) {
    name = host.substr(0, colon);
    port = host.substr(colon + 1);
    if (port.empty()) return false;
  }
  int number = 443;
  if (!port.empty()) {
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (ec != std::errc{} || end != port.data() + port.size()) return false;
  }
  // Port 443 too: a forwarded port shows the browser another one than ours.
  if (number != port_ && number != 443) return false;
  const std::string plain = lower(name);
  return is_ip_address(name) || plain == "localhost" ||
         std::any_of(names_.begin(), names_.end(),
                     [&](const std::string& n) { return lower(n) == plain; });
}

bool Guard::origin_ok(std::string_view origin, std::string_view host) {
  constexpr std::string_view kScheme = "https://";
  return origin.starts_with(kScheme) && lower(origin.substr(kScheme.size())) == lower(host);
}

int Guard::check(const Request& request, std::size_t max_body) const {
  if (!request.transfer_encoding.empty()) return 400;  // nothing here needs it; smuggling does
  if (!request.content_length.empty() && !digits(request.content_length)) return 400;
  if (!host_ok(request.host)) return 421;
  if (request.method == Method::kOther) return 405;
  const std::size_t length =
      request.content_length.empty() ? 0 : std::stoull(request.content_length);
  if (request.method != Method::kPost) return length == 0 ? 0 : 400;
  if (request.content_length.empty()) return 411;
  if (length > max_body) return 413;
  if (!request.origin.empty() && !origin_ok(request.origin, request.host)) return 403;
  if (!request.fetch_site.empty() && request.fetch_site != "same-origin" &&
      request.fetch_site != "none") {
    return 403;
  }
  return 0;
}

std::vector<std::pair<std::string, std::string>> security_headers(std::string_view host) {
  // Safari before 15.4 does not count wss: as part of 'self', hence the second source.
  const std::string policy =
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
      "font-src 'self'; media-src 'self' blob:; connect-src 'self' wss://" +
      std::string(host) +
      "; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; "
      "frame-ancestors 'none'";
  // No Strict-Transport-Security: with a certificate of our own it would lock people out.
  return {{"content-security-policy", policy},
          {"x-content-type-options", "nosniff"},
          {"x-frame-options", "DENY"},
          {"referrer-policy", "no-referrer"},
          {"cross-origin-opener-policy", "same-origin"},
          {"cross-origin-resource-policy", "same-origin"},
          {"permissions-policy", "camera=(), microphone=(), geolocation=()"}};
}

}  // namespace conclave::control::web
