// SPDX-License-Identifier: Apache-2.0
// What a message's texts may be, and the paths of requests.
#include <algorithm>

#include "service/protocol/messages.h"

namespace conclave::service::protocol {

std::string_view to_string(Role role) {
  return role == Role::kChairperson ? "chairperson" : "participant";
}

std::string_view to_string(Kind kind) {
  return kind == Kind::kPhone ? "phone" : kind == Kind::kCalled ? "called" : "operator";
}

std::string_view to_string(Progress progress) {
  switch (progress) {
    case Progress::kDialing:
      return "dialing";
    case Progress::kRinging:
      return "ringing";
    case Progress::kFailed:
      return "failed";
    case Progress::kConnected:
      break;
  }
  return "connected";
}

bool valid_identifier(std::string_view text) {
  return !text.empty() && text.size() <= kMaxIdentifier && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

bool valid_passcode(std::string_view text) {
  return !text.empty() && text.size() <= kMaxPasscode &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool valid_pin(std::string_view text) {
  return !text.empty() && text.size() <= kMaxPin &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-';
         });
}

bool valid_email(std::string_view text) {
  if (text.size() > kMaxEmail || !valid_text(text, kMaxEmail)) return false;
  const auto at = text.find('@');
  if (at == std::string_view::npos || at == 0 || at > 64) return false;
  const auto local = text.substr(0, at);
  const auto domain = text.substr(at + 1);
  if (local.find_first_of(" \"<>(),;:\\[]") != std::string_view::npos) return false;
  if (local.front() == '.' || local.back() == '.') return false;
  if (domain.size() < 3 || domain.front() == '.' || domain.back() == '.') return false;
  if (domain.find('.') == std::string_view::npos) return false;
  if (domain.find("..") != std::string_view::npos || local.find("..") != std::string_view::npos) {
    return false;
  }
  return std::all_of(domain.begin(), domain.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

bool valid_dial_target(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789";
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  if (text.size() > kMaxDialTarget) return false;
  const auto only = [](std::string_view of, std::initializer_list<std::string_view> allowed) {
    return std::all_of(of.begin(), of.end(), [&](char c) {
      return std::any_of(allowed.begin(), allowed.end(),
                         [c](std::string_view set) { return set.find(c) != set.npos; });
    });
  };
  const bool sips = text.rfind("sips:", 0) == 0;
  if (!sips && text.rfind("sip:", 0) != 0) {
    if (!text.empty() && text.front() == '+') text.remove_prefix(1);
    return text.size() >= 2 && text.size() <= 32 && only(text, {kDigits, "*#"});
  }
  text.remove_prefix(sips ? 5 : 4);
  if (const auto semicolon = text.find(';'); semicolon != std::string_view::npos) {
    const auto parameter = text.substr(semicolon);
    if (parameter != ";transport=tls" &&
        (sips || (parameter != ";transport=udp" && parameter != ";transport=tcp"))) {
      return false;
    }
    text = text.substr(0, semicolon);
  }
  const auto at = text.find('@');
  if (at == std::string_view::npos || at == 0) return false;
  if (!only(text.substr(0, at), {kLetters, kDigits, "-_.~+*#"})) return false;
  std::string_view host = text.substr(at + 1);
  if (const auto colon = host.rfind(':'); colon != std::string_view::npos && host.back() != ']') {
    const auto port = host.substr(colon + 1);
    if (port.empty() || port.size() > 5 || !only(port, {kDigits})) return false;
    host = host.substr(0, colon);
  }
  if (host.empty()) return false;
  if (host.front() == '[') {
    return host.back() == ']' && host.size() > 3 &&
           only(host.substr(1, host.size() - 2), {kDigits, "abcdefABCDEF:."});
  }
  return host.front() != '-' && host.front() != '.' && only(host, {kLetters, kDigits, "-."});
}

bool valid_text(std::string_view text, std::size_t max_bytes) {
  if (text.size() > max_bytes) return false;
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x20 || lead == 0x7f) return false;
    std::size_t extra = 0;
    std::uint32_t code = lead;
    if (lead >= 0x80) {
      if (lead >= 0xf0 && lead <= 0xf4) {
        extra = 3, code = lead & 0x07u;
      } else if (lead >= 0xe0 && lead < 0xf0) {
        extra = 2, code = lead & 0x0fu;
      } else if (lead >= 0xc2 && lead < 0xe0) {
        extra = 1, code = lead & 0x1fu;
      } else {
        return false;
      }
    }
    if (i + extra >= text.size()) return false;
    for (std::size_t k = 1; k <= extra; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0u) != 0x80u) return false;
      code = code << 6 | (next & 0x3fu);
    }
    // Over-long forms, surrogates, C1 controls, line separators and the bidirectional overrides
    // that make a name read as another one.
    if ((extra == 2 && code < 0x800) || (extra == 3 && (code < 0x10000 || code > 0x10ffff)) ||
        (code >= 0xd800 && code <= 0xdfff) || (code >= 0x80 && code < 0xa0) || code == 0x2028 ||
        code == 0x2029 || (code >= 0x202a && code <= 0x202e) ||
        (code >= 0x2066 && code <= 0x2069)) {
      return false;
    }
    i += extra + 1;
  }
  return true;
}

std::string login_path() { return "/login"; }
std::string token_path() { return "/token"; }
std::string activation_path() { return "/activation"; }
std::string join_path() { return "/conferences/join"; }
std::string roster_path(std::string_view conference) {
  return "/conferences/" + std::string(conference) + "/roster";
}
std::string roster_poll_path(std::string_view conference, std::uint64_t since, int wait_seconds) {
  return roster_path(conference) + "?since=" + std::to_string(since) +
         "&wait=" + std::to_string(std::clamp(wait_seconds, 0, kMaxWaitSeconds));
}
std::string participant_path(std::string_view conference, std::string_view participant) {
  return "/conferences/" + std::string(conference) + "/participants/" + std::string(participant);
}
std::string mute_path(std::string_view conference, std::string_view participant) {
  return participant_path(conference, participant) + "/mute";
}
std::string mute_all_path(std::string_view conference) {
  return "/conferences/" + std::string(conference) + "/mute";
}
std::string dial_out_path(std::string_view conference) {
  return "/conferences/" + std::string(conference) + "/dialout";
}
std::string operator_path(std::string_view conference) {
  return "/conferences/" + std::string(conference) + "/operator";
}
std::string recording_path(std::string_view conference) {
  return "/conferences/" + std::string(conference) + "/recording";
}

}  // namespace conclave::service::protocol
