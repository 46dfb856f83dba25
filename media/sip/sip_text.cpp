// SPDX-License-Identifier: Apache-2.0
#include "media/sip/sip_text.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace conclave::media {
namespace {

bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-.!%*_+`'~").find(c) != std::string_view::npos;
  });
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c != '\x7f' && c != '<' && c != '>' && c != '"';
  });
}

bool is_literal(const std::string& address) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, address.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1;
}

}  // namespace

std::string sip_host(std::string_view uri) {
  if (uri.starts_with("sips:")) {
    uri.remove_prefix(5);
  } else if (uri.starts_with("sip:")) {
    uri.remove_prefix(4);
  } else {
    return {};
  }
  if (const auto at = uri.rfind('@'); at != std::string_view::npos) uri.remove_prefix(at + 1);
  if (uri.starts_with("[")) {
    const auto close = uri.find(']');
    return close == std::string_view::npos ? std::string{} : std::string(uri.substr(1, close - 1));
  }
  return std::string(uri.substr(0, uri.find_first_of(":;?")));
}

std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, 128)) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') continue;
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string header_safe(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 256)) {
    if (static_cast<unsigned char>(c) >= ' ' && c != '\x7f') out += c;
  }
  return out;
}

std::string header_lines(const std::vector<SipHeader>& headers) {
  std::string out;
  for (const auto& header : headers) {
    if (!is_token(header.name)) continue;
    if (!out.empty()) out += "\r\n";
    out += header.name + ": " + header_safe(header.value);
  }
  return out;
}

Status check_invite(const SipInvite& invite) {
  if (sip_host(invite.target).empty() || !printable(invite.target) || invite.target.size() > 400) {
    return Error{"the target is not a SIP address such as sip:room@host:port"};
  }
  for (const auto& header : invite.headers) {
    if (!is_token(header.name)) return Error{"a header's name is not a token"};
    if (header_safe(header.value) != header.value) {
      return Error{"the header " + header.name + " has control characters or over 256 bytes"};
    }
  }
  return {};
}

Status check_signalling_config(const SignallingConfig& config) {
  if (!is_literal(config.bind_address)) {
    return Error{"the SIP bind address must be an IP address, not \"" +
                 header_safe(config.bind_address) + "\""};
  }
  if (!is_token(config.user)) return Error{"the SIP user name has characters that are not allowed"};
  if (!printable(config.domain)) return Error{"the SIP domain has characters that are not allowed"};
  if (!config.outbound_proxy.empty() &&
      (sip_host(config.outbound_proxy).empty() || !printable(config.outbound_proxy))) {
    return Error{"the outbound proxy is not a SIP address such as sip:host:port;transport=tls"};
  }
  if (config.session_expires_s != 0 && config.session_expires_s < 90) {
    return Error{"the session timer must be 0 or at least 90 s (RFC 4028)"};
  }
  if (config.invite_timeout_s < 1) return Error{"the INVITE timeout must be at least 1 s"};
  return {};
}

}  // namespace conclave::media
