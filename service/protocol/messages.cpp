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

/// Members that a roster's entry has only when they say something; names not known here are those
/// of a newer service.
bool read_meeting_members(const json& value, RosterEntry& out) {
  std::string text;
  if (!read_text(value, "kind", 32, false, text)) return false;
  for (const Kind kind : {Kind::kCalled, Kind::kOperator}) {
    if (text == to_string(kind)) out.kind = kind;
  }
  text.clear();
  if (!read_text(value, "call", 32, false, text)) return false;
  for (const Progress p : {Progress::kDialing, Progress::kRinging, Progress::kFailed}) {
    if (text == to_string(p)) out.progress = p;
  }
  if (value.contains("error") && !read_identifier(value, "error", out.error)) return false;
  return !value.contains("operator_asked") ||
         read_bool(value, "operator_asked", out.operator_asked);
}

bool valid_host(const std::string& text) {
  return text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
             "0123456789-.:[]") == std::string::npos;
}

bool read_sip(const json& object, JoinResponse::Sip& out) {
  // Credentials travel in the INVITE: nothing but TLS will do. Characters that could end the
  // request line or split a URI are refused.
  return read_text(object, "uri", 512, true, out.uri) &&
         read_text(object, "host", 253, true, out.host) &&
         read_integer(object, "port", 1, 65535, out.port) &&
         read_text(object, "transport", 8, true, out.transport) && out.transport == "tls" &&
         out.uri.find_first_of(" <>\"\\") == std::string::npos && out.uri.rfind("sip", 0) == 0 &&
         valid_host(out.host);
}

json json_of(const JoinResponse::Sip& v) {
  return {{"uri", v.uri}, {"host", v.host}, {"port", v.port}, {"transport", v.transport}};
}

bool valid_token(std::string_view text) {
  return !text.empty() && text.size() <= kMaxToken &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.' || c == '~' || c == '+' || c == '/' || c == '=';
         });
}

}  // namespace

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
  if (sip == nullptr || !read_sip(*sip, out.sip)) return wrong("sip address");
  if (const auto list = sip->find("alternatives"); list != sip->end()) {
    if (!list->is_array() || list->size() > kMaxSipAlternatives) return wrong("sip alternatives");
    for (const auto& item : *list) {
      JoinResponse::Sip other;
      if (!item.is_object() || !read_sip(item, other)) return wrong("sip alternatives");
      out.alternatives.push_back(std::move(other));
    }
  }
  if (const json* tunnel = read_object(object, "tunnel")) {
    JoinResponse::Tunnel& t = out.tunnel.emplace();
    if (!read_text(*tunnel, "host", 253, true, t.host) || !valid_host(t.host) ||
        !read_integer(*tunnel, "port", 1, 65535, t.port) ||
        (tunnel->contains("probe_port") &&
         !read_integer(*tunnel, "probe_port", 0, 65535, t.probe_port)) ||
        !read_text(*tunnel, "username", kMaxToken, true, t.username) ||
        !read_text(*tunnel, "password", kMaxToken, true, t.password)) {
      return wrong("tunnel");
    }
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
        !read_bool(value, "muted", entry.muted) || !read_bool(value, "talking", entry.talking) ||
        !read_meeting_members(value, entry)) {
      return wrong("participant of the roster");
    }
    out.participants.emplace(id, std::move(entry));
  }
  if (object.contains("muted_all") && !read_bool(object, "muted_all", out.all_muted)) {
    return wrong("muted_all");
  }
  if (const json* recording = read_object(object, "recording")) {
    const auto since = recording->find("since_ms");
    if (since == recording->end() || !since->is_number_unsigned()) return wrong("recording");
    out.recording = true;
    out.recording_since_ms = static_cast<std::int64_t>(
        std::min<std::uint64_t>(since->get<std::uint64_t>(), std::uint64_t{1} << 53));
  }
  return out;
}

Result<DialOutRequest> parse_dial_out_request(std::string_view text) {
  CONCLAVE_TRY(const json object, read_message(text, kMaxRequestBytes));
  DialOutRequest out;
  if (!read_text(object, "to", kMaxDialTarget, true, out.to) || !valid_dial_target(out.to)) {
    return wrong("to");
  }
  if (!read_text(object, "name", kMaxName, false, out.name)) return wrong("name");
  return out;
}

Result<DialOutResponse> parse_dial_out_response(std::string_view text) {
  CONCLAVE_TRY(const json object, read_message(text, kMaxBodyBytes));
  DialOutResponse out;
  if (!read_identifier(object, "participant", out.participant)) return wrong("participant");
  return out;
}

Result<OperatorRequest> parse_operator_request(std::string_view text) {
  CONCLAVE_TRY(const json object, read_message(text, kMaxRequestBytes));
  OperatorRequest out;
  if (object.contains("participant") && !read_identifier(object, "participant", out.participant)) {
    return wrong("participant");
  }
  if (object.contains("asked") && !read_bool(object, "asked", out.asked)) return wrong("asked");
  return out;
}

Result<RecordRequest> parse_record_request(std::string_view text) {
  CONCLAVE_TRY(const json object, read_message(text, kMaxRequestBytes));
  RecordRequest out;
  if (!read_bool(object, "recording", out.recording)) return wrong("recording");
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
  json out = {{"conference", {{"id", v.conference.id}, {"title", v.conference.title}}},
              {"participant", {{"id", v.participant.id}, {"role", to_string(v.participant.role)}}},
              {"sip", json_of(v.sip)}};
  for (const auto& other : v.alternatives) out["sip"]["alternatives"].push_back(json_of(other));
  if (v.tunnel) {
    out["tunnel"] = {{"host", v.tunnel->host},
                     {"port", v.tunnel->port},
                     {"username", v.tunnel->username},
                     {"password", v.tunnel->password}};
    if (v.tunnel->probe_port != 0) out["tunnel"]["probe_port"] = v.tunnel->probe_port;
  }
  return dump(out);
}
std::string to_json(const MuteRequest& v) { return dump({{"muted", v.muted}}); }
std::string to_json(const Roster& v) {
  json participants = json::object();
  for (const auto& [id, entry] : v.participants) {
    participants[id] = {{"name", entry.name},
                        {"role", to_string(entry.role)},
                        {"muted", entry.muted},
                        {"talking", entry.talking}};
    json& out = participants[id];
    if (entry.kind != Kind::kPhone) out["kind"] = to_string(entry.kind);
    if (entry.progress != Progress::kConnected) out["call"] = to_string(entry.progress);
    if (!entry.error.empty()) out["error"] = entry.error;
    if (entry.operator_asked) out["operator_asked"] = true;
  }
  json out = {{"rev", v.revision}, {"participants", std::move(participants)}};
  if (v.all_muted) out["muted_all"] = true;
  if (v.recording) out["recording"] = {{"since_ms", v.recording_since_ms}};
  return dump(out);
}
std::string to_json(const ErrorBody& v) {
  json error = {{"id", v.id}, {"message", v.message}};
  if (!v.detail_id.empty()) error["detail"] = {{"id", v.detail_id}, {"message", v.detail_message}};
  return dump({{"error", std::move(error)}});
}

std::string to_json(const DialOutRequest& v) {
  json out = {{"to", v.to}};
  if (!v.name.empty()) out["name"] = v.name;
  return dump(out);
}
std::string to_json(const DialOutResponse& v) { return dump({{"participant", v.participant}}); }
std::string to_json(const OperatorRequest& v) {
  json out = {{"asked", v.asked}};
  if (!v.participant.empty()) out["participant"] = v.participant;
  return dump(out);
}
std::string to_json(const RecordRequest& v) { return dump({{"recording", v.recording}}); }

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
