// SPDX-License-Identifier: Apache-2.0
#include "service/call_control.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/log.h"

namespace conclave::service {
namespace {

using protocol::ErrorBody;
using protocol::Role;

constexpr const char* kLog = "service.rest";
constexpr int kFailureWindowS = 60;

HttpAnswer failure(int status, std::string id, std::string message, std::string detail_id = {},
                   std::string detail_message = {}) {
  return {status, to_json(ErrorBody{std::move(id), std::move(message), std::move(detail_id),
                                    std::move(detail_message)})};
}

HttpAnswer bad_request(const Error& error) {
  if (!error.id.empty()) return failure(400, error.id, error.message);
  return failure(400, "JOIN-984", "Unexpected error (Error code: 984)");
}
HttpAnswer no_conference() {
  return failure(404, "CC-404",
                 "Conference not found, or you do not have access to the conference.");
}
HttpAnswer no_token() { return failure(401, "JOIN-UNABLE", "Unable to find meeting"); }
HttpAnswer slow_down(int seconds) {
  HttpAnswer answer = failure(429, "SVC-TEMP", "The service encountered a temporary error");
  answer.retry_after_s = seconds;
  return answer;
}
HttpAnswer wrong_method() { return failure(405, "JOIN-984", "Unexpected error (Error code: 984)"); }

/// No message: the phone has its own, in its language and with its provider's name.
HttpAnswer activation_failure(const std::string& id) {
  const auto kinds = FaultDesk::kinds();
  const auto kind =
      std::find_if(kinds.begin(), kinds.end(), [&id](const FaultKind& k) { return k.id == id; });
  return failure(kind == kinds.end() ? 500 : kind->status, id, "");
}

/// Why the phone may not come in; empty: it may.
std::optional<HttpAnswer> refusal(PhoneBook::Admission admission) {
  switch (admission) {
    case PhoneBook::Admission::kYes:
      return std::nullopt;
    case PhoneBook::Admission::kUnknown:
      return failure(403, "JOIN-977", "The phone is not known to the system (Error code: 977)");
    case PhoneBook::Admission::kInactive:
      return failure(403, "JOIN-978", "The phone is not active in the system (Error code: 978)");
    case PhoneBook::Admission::kDeactivated:
      return failure(403, "ACT-DISABLED", "Phone is disabled by the service provider");
    case PhoneBook::Admission::kWrongToken:
      break;
  }
  return no_token();
}

/// The serial number in a body that may be anything; for faults on order alone.
std::string serial_of(const std::string& body) {
  const auto login = protocol::parse_login_request(body);
  return login ? login->serial : std::string();
}

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
    if (path.empty()) parts.emplace_back();
  }
  return parts;
}

/// Value of a decimal query argument; `fallback` when absent, empty when malformed.
std::optional<std::uint64_t> query_number(std::string_view query, std::string_view name,
                                          std::uint64_t fallback) {
  for (const auto part : [&] {
         std::vector<std::string_view> parts;
         while (!query.empty()) {
           const auto end = query.find('&');
           parts.push_back(query.substr(0, end));
           query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
         }
         return parts;
       }()) {
    const auto equals = part.find('=');
    if (part.substr(0, equals) != name) continue;
    if (equals == std::string_view::npos) return std::nullopt;
    const auto text = part.substr(equals + 1);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
  }
  return fallback;
}

bool same_email(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; };
           return lower(x) == lower(y);
         });
}

}  // namespace

CallControl::CallControl(const CallControlConfig& config, const Clock& clock,
                         const Meetings& meetings, ConferenceBook& book, PhoneBook& phones,
                         FaultDesk& faults, Store* store)
    : config_(config),
      clock_(clock),
      meetings_(meetings),
      book_(book),
      phones_(phones),
      faults_(faults),
      tokens_(clock, config.token_lifetime_s, store),
      wrong_by_phone_(clock, config.wrong_passcodes_of_phone, kFailureWindowS),
      wrong_by_address_(clock, config.wrong_passcodes_of_address, kFailureWindowS),
      logins_(clock, config.logins_of_address, kFailureWindowS),
      wrong_pins_of_phone_(clock, config.wrong_pins_of_phone, kFailureWindowS),
      wrong_pins_of_address_(clock, config.wrong_pins_of_address, kFailureWindowS) {}

std::optional<ConferenceBook::Participant> CallControl::authenticate(
    std::string_view header) const {
  const auto credentials = protocol::parse_participant_header(header);
  if (!credentials) return std::nullopt;
  const auto session = tokens_.find(credentials->token);
  auto participant = book_.find(credentials->participant);
  if (!session || !participant || participant->session != session->id) return std::nullopt;
  return participant;
}

HttpAnswer CallControl::handle(const HttpRequest& request) {
  const std::string_view path = request.path;
  const std::string_view base = config_.base_path;
  if (path.substr(0, base.size()) != base || path.size() <= base.size() ||
      path[base.size()] != '/') {
    return no_conference();
  }
  const auto parts = split(path.substr(base.size() + 1));
  if (parts.size() == 1 && parts[0] == "login") {
    if (request.method != HttpMethod::kPost) return wrong_method();
    if (auto ordered = faults_.take(FaultStage::kLogin, serial_of(request.body))) return *ordered;
    return login(request);
  }
  if (parts.size() == 1 && parts[0] == "activation") {
    if (request.method == HttpMethod::kDelete) return deactivate(request);
    if (request.method != HttpMethod::kPost) return wrong_method();
    if (auto ordered = faults_.take(FaultStage::kActivation, serial_of(request.body))) {
      return *ordered;
    }
    return activate(request);
  }
  if (parts.size() == 1 && parts[0] == "token") {
    return request.method == HttpMethod::kPost ? renew(request) : wrong_method();
  }
  const auto session = tokens_.find(request.bearer);
  if (!session) return no_token();
  if (parts.size() < 2 || parts[0] != "conferences") return no_conference();
  if (parts.size() == 2 && parts[1] == "join") {
    if (request.method != HttpMethod::kPost) return wrong_method();
    if (auto ordered = faults_.take(FaultStage::kJoin, session->serial)) return *ordered;
    return join(request, *session);
  }
  if (request.method != HttpMethod::kGet) {
    if (auto ordered = faults_.take(FaultStage::kCallControl, session->serial)) return *ordered;
  }
  // Nobody learns of a conference he is not in, not even that it exists.
  const auto conference = parts[1];
  const auto entry = meetings_.find(conference);
  if (!entry || !own(*session, conference)) return no_conference();
  if (parts.size() == 3 && parts[2] == "roster") {
    return request.method == HttpMethod::kGet ? roster(request, conference) : wrong_method();
  }
  if (parts.size() == 3 && parts[2] == "mute") {
    return request.method == HttpMethod::kPost ? mute_all(request, *session, conference)
                                               : wrong_method();
  }
  if (parts.size() == 3 && meeting_ != nullptr) {
    return meeting_->handle(request, parts[2], *entry, *own(*session, conference));
  }
  if (parts.size() == 4 && parts[2] == "participants") {
    return request.method == HttpMethod::kDelete ? leave(*session, conference, parts[3])
                                                 : wrong_method();
  }
  if (parts.size() == 5 && parts[2] == "participants" && parts[4] == "mute") {
    return request.method == HttpMethod::kPost ? mute(request, *session, conference, parts[3])
                                               : wrong_method();
  }
  return no_conference();
}

HttpAnswer CallControl::activate(const HttpRequest& request) {
  const auto wanted = protocol::parse_activation_request(request.body);
  if (!wanted) return bad_request(wanted.error());
  const std::string& serial = wanted->serial;
  const int wait = std::max(wrong_pins_of_phone_.blocked_for_s(serial),
                            wrong_pins_of_address_.blocked_for_s(request.peer));
  if (wait > 0) {
    log::warning(kLog, "activation held back after wrong PINs",
                 {{"serial", serial}, {"peer", request.peer}, {"wait_s", wait}});
    return slow_down(wait);
  }
  const auto token = phones_.activate(serial, wanted->pin, request.certificate);
  if (!token) {
    const std::string& id = token.error().id;
    // All of these tell a guesser something.
    if (id != "ACT-500") {
      wrong_pins_of_phone_.failed(serial);
      wrong_pins_of_address_.failed(request.peer);
    }
    log::warning(kLog, "activation refused",
                 {{"serial", serial}, {"id", id}, {"peer", request.peer}});
    return activation_failure(id);
  }
  shut_out(serial);  // who held the token of the activation before
  log::info(kLog, "activated", {{"serial", serial}, {"peer", request.peer}});
  return {200, to_json(protocol::ActivationResponse{*token})};
}

HttpAnswer CallControl::deactivate(const HttpRequest& request) {
  const auto serial = phones_.deactivate(request.bearer);
  if (!serial) return activation_failure("ACT-500");
  if (serial->empty()) return no_token();
  shut_out(*serial);
  log::info(kLog, "deactivated by the phone", {{"serial", *serial}});
  return {204, ""};
}

void CallControl::shut_out(const std::string& serial) {
  tokens_.revoke_serial(serial);
  book_.remove_serial(serial);
}

HttpAnswer CallControl::login(const HttpRequest& request) {
  if (const int wait = logins_.blocked_for_s(request.peer); wait > 0) return slow_down(wait);
  logins_.failed(request.peer);  // every login counts: each costs memory
  const auto wanted = protocol::parse_login_request(request.body);
  if (!wanted) return bad_request(wanted.error());
  if (auto refused = refusal(phones_.admits(wanted->serial, wanted->activation))) {
    log::warning(kLog, "login refused", {{"serial", wanted->serial}, {"peer", request.peer}});
    return *refused;
  }
  phones_.saw(wanted->serial, request.peer, wanted->model, wanted->version);
  const auto issued = tokens_.issue(wanted->serial, wanted->display_name);
  log::info(kLog, "login",
            {{"serial", wanted->serial},
             {"session", static_cast<unsigned long>(issued.session)},
             {"peer", request.peer}});
  return {200, to_json(protocol::LoginResponse{issued.token, issued.expires_in_s})};
}

HttpAnswer CallControl::renew(const HttpRequest& request) {
  const auto session = tokens_.find(request.bearer);
  if (!session) return no_token();
  if (auto refused = refusal(phones_.admits(session->serial))) return *refused;
  const auto issued = tokens_.renew(request.bearer);
  if (!issued) return no_token();
  log::info(kLog, "token renewed", {{"serial", session->serial}});
  return {200, to_json(protocol::LoginResponse{issued->token, issued->expires_in_s})};
}

HttpAnswer CallControl::join(const HttpRequest& request, const Session& session) {
  if (auto refused = refusal(phones_.admits(session.serial))) return *refused;
  const int wait = std::max(wrong_by_phone_.blocked_for_s(session.serial),
                            wrong_by_address_.blocked_for_s(request.peer));
  if (wait > 0) {
    log::warning(kLog, "join held back after wrong passcodes",
                 {{"serial", session.serial}, {"peer", request.peer}, {"wait_s", wait}});
    return slow_down(wait);
  }
  const auto wanted = protocol::parse_join_request(request.body);
  if (!wanted) return bad_request(wanted.error());

  const auto match = meetings_.find_by_passcode(wanted->passcode);
  bool found = match.has_value();
  if (found && !wanted->email.empty() && !match->conference.emails.empty()) {
    const auto& emails = match->conference.emails;
    found = std::any_of(emails.begin(), emails.end(),
                        [&](const auto& e) { return same_email(e, wanted->email); });
  }
  if (!found) {
    wrong_by_phone_.failed(session.serial);
    wrong_by_address_.failed(request.peer);
    log::info(kLog, "join refused: no such meeting",
              {{"serial", session.serial}, {"email_given", !wanted->email.empty()}});
    return wanted->email.empty()
               ? failure(404, "JOIN-NOTFOUND", "Meeting not found.", "JOIN-981",
                         "Meeting not found with combination of provided passcode and phone "
                         "(Error code: 981)")
               : failure(404, "JOIN-NOTFOUND", "Meeting not found.", "JOIN-980",
                         "Meeting not found with provided passcode and email (Error code: 980)");
  }
  const ConferenceEntry& conference = match->conference;
  if (conference.email_required && wanted->email.empty()) {
    return failure(400, "JOIN-975", "Email required to join this meeting (Error code: 975)");
  }
  std::string name = wanted->display_name.empty() ? session.display_name : wanted->display_name;
  if (name.empty()) name = session.serial;
  const auto participant = book_.expect(conference.id, session.id, session.serial, name,
                                        match->role, conference.self_mute);
  if (!participant) {
    log::warning(kLog, "join refused: conference is full", {{"conference", conference.id}});
    return failure(503, "JOIN-983", "Service error: resource unavailable (Error code: 983)");
  }
  log::info(kLog, "join",
            {{"conference", conference.id},
             {"participant", participant->id},
             {"role", to_string(match->role)},
             {"serial", session.serial}});
  protocol::JoinResponse out;
  out.conference = {conference.id, conference.title};
  out.participant = {participant->id, match->role};
  for (const SipAddress& address : sip_) {
    const bool v6 = address.host.find(':') != std::string::npos;
    protocol::JoinResponse::Sip sip;
    sip.host = address.host;
    sip.port = address.port;
    sip.uri = "sip:" + conference.id + "@" + (v6 ? "[" + address.host + "]" : address.host) + ":" +
              std::to_string(address.port) + ";transport=tls";
    if (&address == &sip_.front()) {
      out.sip = std::move(sip);
    } else {
      out.alternatives.push_back(std::move(sip));
    }
  }
  if (tunnel_) out.tunnel = tunnel_(participant->id);
  return {200, to_json(out)};
}

std::optional<ConferenceBook::Participant> CallControl::own(const Session& session,
                                                            std::string_view conference) const {
  return book_.find_of_session(session.id, conference);
}

HttpAnswer CallControl::roster(const HttpRequest& request, std::string_view conference) {
  const auto since = query_number(request.query, "since", 0);
  const auto wait = query_number(request.query, "wait", 0);
  if (!since || !wait) return bad_request({"malformed number", ""});
  const bool asked_to_wait = request.query.find("since=") != std::string::npos && *wait > 0;
  if (asked_to_wait && !request.final && book_.revision(conference) == *since) {
    HttpAnswer later;
    later.wait_s = static_cast<int>(
        std::min<std::uint64_t>(*wait, static_cast<std::uint64_t>(protocol::kMaxWaitSeconds)));
    return later;
  }
  return {200, to_json(book_.roster(conference))};
}

HttpAnswer CallControl::mute(const HttpRequest& request, const Session& session,
                             std::string_view conference, std::string_view participant) {
  const auto wanted = protocol::parse_mute_request(request.body);
  if (!wanted) return bad_request(wanted.error());
  const auto target = book_.find(participant);
  if (!target || target->conference != conference) return no_conference();
  const auto self = own(session, conference);
  const bool chair = self->entry.role == Role::kChairperson;
  if (target->session == session.id) {
    if (!target->may_unmute && !chair) {
      return failure(403, "CC-MUTE-SELF",
                     "The given lines cannot be muted or unmuted by the current user.");
    }
  } else if (!chair) {
    return failure(403, "CC-MUTE-OTHER", "Failed to mute the users.");
  }
  if (!book_.set_muted(participant, wanted->muted)) return no_conference();
  log::info(kLog, "mute",
            {{"participant", participant}, {"muted", wanted->muted}, {"by", self->id}});
  return {200, to_json(*wanted)};
}

HttpAnswer CallControl::mute_all(const HttpRequest& request, const Session& session,
                                 std::string_view conference) {
  const auto wanted = protocol::parse_mute_request(request.body);
  if (!wanted) return bad_request(wanted.error());
  const auto self = own(session, conference);
  if (self->entry.role != Role::kChairperson) {
    return failure(403, "CC-MUTE-ALL", "Failed to change mute all property.");
  }
  book_.set_all_muted(conference, wanted->muted);
  log::info(kLog, "mute all", {{"conference", conference}, {"muted", wanted->muted}});
  return {200, to_json(*wanted)};
}

HttpAnswer CallControl::leave(const Session& session, std::string_view conference,
                              std::string_view participant) {
  const auto target = book_.find(participant);
  if (!target || target->conference != conference) return no_conference();
  const auto self = own(session, conference);
  if (target->session != session.id && self->entry.role != Role::kChairperson) {
    return failure(403, "CC-EJECT", "Eject failed.");
  }
  book_.remove(participant);
  log::info(kLog, target->session == session.id ? "leave" : "eject",
            {{"participant", participant}, {"by", self->id}});
  return {204, ""};
}

}  // namespace conclave::service
