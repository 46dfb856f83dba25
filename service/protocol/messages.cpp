// SPDX-License-Identifier: Apache-2.0
#include "service/protocol/messages.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "service/protocol/json_object.h"

namespace conclave::service::protocol {
namespace {

using nlohmann::json;

Error wrong(std::string_view what) {
  return {"The other side sent an unexpected message: " + std::string(what) +
          "; check that both run matching versions"};
}

Result<json> read_message(std::string_view text, std::size_t max_bytes) {
  auto object = parse_object(text, max_bytes, kMaxDepth);
  if (!object) return wrong(object.error().message);
  return object;
}

bool read_text(const json& object, const char* key, std::size_t max, bool required,
               std::string& out) {
  const auto it = object.find(key);
  if (it == object.end()) return !required;
  if (!it->is_string()) return false;
  out = it->get<std::string>();
  return valid_text(out, max) && !(required && out.empty());
}

bool read_identifier(const json& object, const char* key, std::string& out) {
  return read_text(object, key, kMaxIdentifier, true, out) && valid_identifier(out);
}

bool read_integer(const json& object, const char* key, std::int64_t least, std::int64_t most,
                  int& out) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_number_integer()) return false;
  // An unsigned beyond int64 must not wrap into the range.
  if (it->is_number_unsigned() && it->get<std::uint64_t>() > static_cast<std::uint64_t>(most)) {
    return false;
  }
  const auto value = it->get<std::int64_t>();
  if (value < least || value > most) return false;
  out = static_cast<int>(value);
  return true;
}

bool read_bool(const json& object, const char* key, bool& out) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_boolean()) return false;
  out = it->get<bool>();
  return true;
}

bool read_role(const json& object, Role& out) {
  std::string text;
  if (!read_text(object, "role", 32, true, text)) return false;
  if (text == to_string(Role::kChairperson)) {
    out = Role::kChairperson;
  } else if (text == to_string(Role::kParticipant)) {
    out = Role::kParticipant;
  } else {
    return false;
  }
  return true;
}

const json* read_object(const json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_object() ? &*it : nullptr;
}

// Names were checked on the way in; `replace` keeps dump() from throwing should one slip through.
std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool valid_token(std::string_view text) {
  return !text.empty() && text.size() <= kMaxToken &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.' || c == '~' || c == '+' || c == '/' || c == '=';
         });
}

}  // namespace

std::string_view to_string(Role role) {
  return role == Role::kChairperson ? "chairperson" : "participant";
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

Result<LoginRequest> parse_login_request(std::string_view text) {
  CONCLAVE_TRY(const json object, read_message(text, kMaxRequestBytes));
  LoginRequest out;
  if (!read_identifier(object, "serial", out.serial)) return wrong("serial");
  if (!read_text(object, "model", kMaxName, false, out.model)) return wrong("model");
  if (!read_text(object, "version", kMaxName, false, out.version)) return wrong("version");
  if (!read_text(object, "display_name", kMaxName, false, out.display_name)) {
    return wrong("display_name");
  }
  if (!read_text(object, "activation", kMaxToken, false, out.activation) ||
      (!out.activation.empty() && !valid_token(out.activation))) {
    return wrong("activation");
  }
  return out;
}

Result<LoginResponse> parse_login_response(std::string_view text) {
  CONCLAVE_TRY(const json object, read_message(text, kMaxBodyBytes));
  LoginResponse out;
  if (!read_text(object, "token", kMaxToken, true, out.token) || !valid_token(out.token)) {
    return wrong("token");
  }
  if (!read_integer(object, "expires_in", 1, 366 * 86400, out.expires_in_s)) {
    return wrong("expires_in");
  }
  return out;
}

Result<ActivationRequest> parse_activation_request(std::string_view text) {
  CONCLAVE_TRY(const json object, read_message(text, kMaxRequestBytes));
  ActivationRequest out;
  if (!read_identifier(object, "serial", out.serial)) return wrong("serial");
  if (!read_text(object, "model", kMaxName, false, out.model)) return wrong("model");
  if (!read_text(object, "version", kMaxName, false, out.version)) return wrong("version");
  const auto pin = object.find("pin");
  if (pin == object.end() || pin->is_null() ||
      (pin->is_string() && pin->get<std::string>().empty())) {
    return Error{"", "ACT-400"};
  }
  if (!read_text(object, "pin", kMaxPin, true, out.pin) || !valid_pin(out.pin)) {
    return Error{"", "ACT-401"};
  }
  return out;
}

Result<ActivationResponse> parse_activation_response(std::string_view text) {
  CONCLAVE_TRY(const json object, read_message(text, kMaxBodyBytes));
  ActivationResponse out;
  if (!read_text(object, "token", kMaxToken, true, out.token) || !valid_token(out.token)) {
    return wrong("token");
  }
  return out;
}

Result<JoinRequest> parse_join_request(std::string_view text) {
  CONCLAVE_TRY(const json object, read_message(text, kMaxRequestBytes));
  JoinRequest out;
  if (!read_text(object, "passcode", kMaxPasscode, true, out.passcode) ||
      !valid_passcode(out.passcode)) {
    return Error{"Invalid passcode.", "IN-PASSCODE"};
  }
  if (!read_text(object, "email", kMaxEmail, false, out.email) ||
      (!out.email.empty() && !valid_email(out.email))) {
    return Error{"The provided email address is invalid (Error code: 976)", "JOIN-976"};
  }
  if (!read_text(object, "display_name", kMaxName, false, out.display_name)) {
    return wrong("display_name");
  }
  return out;
}

Result<JoinResponse> parse_join_response(std::string_view text) {
  CONCLAVE_TRY(const json object, read_message(text, kMaxBodyBytes));
  JoinResponse out;
  const json* conference = read_object(object, "conference");
  const json* participant = read_object(object, "participant");
  const json* sip = read_object(object, "sip");
  if (conference == nullptr || !read_identifier(*conference, "id", out.conference.id) ||
      !read_text(*conference, "title", kMaxName, false, out.conference.title)) {
    return wrong("conference");
  }
  if (participant == nullptr || !read_identifier(*participant, "id", out.participant.id) ||
      !read_role(*participant, out.participant.role)) {
    return wrong("participant");
  }
  if (sip == nullptr || !read_text(*sip, "uri", 512, true, out.sip.uri) ||
      !read_text(*sip, "host", 253, true, out.sip.host) ||
      !read_integer(*sip, "port", 1, 65535, out.sip.port) ||
      !read_text(*sip, "transport", 8, true, out.sip.transport)) {
    return wrong("sip");
  }
  // Credentials travel in the INVITE: nothing but TLS will do. Characters that could end the
  // request line or split a URI are refused.
  if (out.sip.transport != "tls" || out.sip.uri.find_first_of(" <>\"\\") != std::string::npos ||
      out.sip.uri.rfind("sip", 0) != 0 ||
      out.sip.host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789-.:[]") != std::string::npos) {
    return wrong("sip address");
  }
  return out;
}

Result<MuteRequest> parse_mute_request(std::string_view text) {
  CONCLAVE_TRY(const json object, read_message(text, kMaxRequestBytes));
  MuteRequest out;
  if (!read_bool(object, "muted", out.muted)) return wrong("muted");
  return out;
}

Result<Roster> parse_roster(std::string_view text) {
  CONCLAVE_TRY(const json object, read_message(text, kMaxBodyBytes));
  Roster out;
  const auto rev = object.find("rev");
  if (rev == object.end() || !rev->is_number_unsigned()) return wrong("rev");
  out.revision = rev->get<std::uint64_t>();
  const json* participants = read_object(object, "participants");
  if (participants == nullptr) return wrong("participants");
  for (const auto& [id, value] : participants->items()) {
    RosterEntry entry;
    if (!valid_identifier(id) || !value.is_object() ||
        !read_text(value, "name", kMaxName, false, entry.name) || !read_role(value, entry.role) ||
        !read_bool(value, "muted", entry.muted) || !read_bool(value, "talking", entry.talking)) {
      return wrong("participant of the roster");
    }
    out.participants.emplace(id, std::move(entry));
  }
  return out;
}

Result<ErrorBody> parse_error(std::string_view text) {
  CONCLAVE_TRY(const json object, read_message(text, kMaxBodyBytes));
  const json* error = read_object(object, "error");
  ErrorBody out;
  if (error == nullptr || !read_identifier(*error, "id", out.id) ||
      !read_text(*error, "message", 1024, false, out.message)) {
    return wrong("error");
  }
  if (const json* detail = read_object(*error, "detail")) {
    if (!read_identifier(*detail, "id", out.detail_id) ||
        !read_text(*detail, "message", 1024, false, out.detail_message)) {
      return wrong("error detail");
    }
  }
  return out;
}

std::string to_json(const LoginRequest& v) {
  json out = {{"serial", v.serial},
              {"model", v.model},
              {"version", v.version},
              {"display_name", v.display_name}};
  if (!v.activation.empty()) out["activation"] = v.activation;
  return dump(out);
}
std::string to_json(const LoginResponse& v) {
  return dump({{"token", v.token}, {"expires_in", v.expires_in_s}});
}
std::string to_json(const ActivationRequest& v) {
  return dump({{"serial", v.serial}, {"pin", v.pin}, {"model", v.model}, {"version", v.version}});
}
std::string to_json(const ActivationResponse& v) { return dump({{"token", v.token}}); }
std::string to_json(const JoinRequest& v) {
  json out = {{"passcode", v.passcode}, {"display_name", v.display_name}};
  if (!v.email.empty()) out["email"] = v.email;
  return dump(out);
}
std::string to_json(const JoinResponse& v) {
  return dump({{"conference", {{"id", v.conference.id}, {"title", v.conference.title}}},
               {"participant", {{"id", v.participant.id}, {"role", to_string(v.participant.role)}}},
               {"sip",
                {{"uri", v.sip.uri},
                 {"host", v.sip.host},
                 {"port", v.sip.port},
                 {"transport", v.sip.transport}}}});
}
std::string to_json(const MuteRequest& v) { return dump({{"muted", v.muted}}); }
std::string to_json(const Roster& v) {
  json participants = json::object();
  for (const auto& [id, entry] : v.participants) {
    participants[id] = {{"name", entry.name},
                        {"role", to_string(entry.role)},
                        {"muted", entry.muted},
                        {"talking", entry.talking}};
  }
  return dump({{"rev", v.revision}, {"participants", std::move(participants)}});
}
std::string to_json(const ErrorBody& v) {
  json error = {{"id", v.id}, {"message", v.message}};
  if (!v.detail_id.empty()) error["detail"] = {{"id", v.detail_id}, {"message", v.detail_message}};
  return dump({{"error", std::move(error)}});
}

std::string login_path() { return "/login"; }
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

std::string participant_header(std::string_view participant, std::string_view token) {
  return std::string(participant) + ";" + std::string(token);
}

std::optional<ParticipantCredentials> parse_participant_header(std::string_view value) {
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  const auto semicolon = value.find(';');
  if (semicolon == std::string_view::npos) return std::nullopt;
  ParticipantCredentials out{std::string(value.substr(0, semicolon)),
                             std::string(value.substr(semicolon + 1))};
  if (!valid_identifier(out.participant) || !valid_token(out.token)) return std::nullopt;
  return out;
}

}  // namespace conclave::service::protocol
