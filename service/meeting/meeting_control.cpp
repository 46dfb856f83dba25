// SPDX-License-Identifier: Apache-2.0
#include "service/meeting/meeting_control.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/log.h"

namespace conclave::service {
namespace {

using nlohmann::json;
using protocol::Kind;
using protocol::Role;

constexpr const char* kLog = "service.meeting";

/// No message: the phone has its own, in its language.
HttpAnswer failure(int status, std::string id) {
  return {status, to_json(protocol::ErrorBody{std::move(id), "", "", ""})};
}
HttpAnswer bad_request() { return failure(400, "JOIN-984"); }
HttpAnswer wrong_method() { return failure(405, "JOIN-984"); }
HttpAnswer not_there() { return failure(404, "CC-404"); }

int status_of(const std::string& id) {
  return id == "CC-DIALOUT-DENIED" || id == "CC-OPERATOR-DENIED" ? 403 : 500;
}

}  // namespace

MeetingControl::MeetingControl(ConferenceBook& book, Actions actions)
    : book_(book), actions_(std::move(actions)) {}

HttpAnswer MeetingControl::handle(const HttpRequest& request, std::string_view verb,
                                  const ConferenceEntry& conference,
                                  const ConferenceBook::Participant& self) {
  if (verb == "dialout") return dial_out(request, conference, self);
  if (verb == "operator") return operator_call(request, conference, self);
  if (verb == "recording") return record(request, conference, self);
  return not_there();
}

HttpAnswer MeetingControl::dial_out(const HttpRequest& request, const ConferenceEntry& conference,
                                    const ConferenceBook::Participant& self) {
  if (request.method != HttpMethod::kPost) return wrong_method();
  if (self.entry.role != Role::kChairperson || !conference.dial_out) {
    return failure(403, "CC-DIALOUT-DENIED");
  }
  const auto wanted = protocol::parse_dial_out_request(request.body);
  if (!wanted) return bad_request();
  if (const Status allowed = actions_.dialable(wanted->to); !allowed) {
    return failure(status_of(allowed.error().id), allowed.error().id);
  }
  const auto roster = book_.roster(conference.id);
  const auto setting_up =
      std::count_if(roster.participants.begin(), roster.participants.end(), [](const auto& item) {
        const auto progress = item.second.progress;
        return progress == protocol::Progress::kDialing || progress == protocol::Progress::kRinging;
      });
  if (setting_up >= kCallsAtOnce) return failure(429, "CC-DIALOUT-CCS");
  const auto callee =
      book_.call(conference.id, wanted->name.empty() ? wanted->to : wanted->name, Kind::kCalled);
  if (!callee) return failure(503, "CC-DIALOUT-CCS");
  if (const Status called = actions_.dial(*callee, wanted->to); !called) {
    book_.remove(callee->id);
    const std::string id = called.error().id.empty() ? "CC-DIALOUT-CCS" : called.error().id;
    return failure(status_of(id), id);
  }
  log::info(kLog, "dial out", {{"conference", conference.id}, {"by", self.id}});
  return {202, to_json(protocol::DialOutResponse{callee->id})};
}

HttpAnswer MeetingControl::operator_call(const HttpRequest& request,
                                         const ConferenceEntry& conference,
                                         const ConferenceBook::Participant& self) {
  if (request.method != HttpMethod::kPost) return wrong_method();
  const auto wanted = protocol::parse_operator_request(request.body);
  if (!wanted) return bad_request();
  const std::string line = wanted->participant.empty() ? self.id : wanted->participant;
  const auto target = book_.find(line);
  if (!target || target->conference != conference.id || !target->present) return not_there();
  const bool own = line == self.id;
  if (!conference.operator_call || (!own && self.entry.role != Role::kChairperson)) {
    return failure(403, "CC-OPERATOR-DENIED");
  }
  const bool asked = wanted->asked;
  if (asked && !actions_.operator_address.empty() && !book_.has_operator(conference.id)) {
    const auto callee = book_.call(conference.id, "Operator", Kind::kOperator);
    if (!callee) return failure(503, "CC-OPERATOR");
    if (const Status called = actions_.dial(*callee, actions_.operator_address); !called) {
      book_.remove(callee->id);
      log::error(kLog, "the operator cannot be called", {{"why", called.error().message}});
      return failure(500, "CC-OPERATOR");
    }
  }
  if (!book_.set_operator_asked(line, asked)) return not_there();
  log::warning(kLog, asked ? "an operator is asked for" : "the operator is not needed any more",
               {{"conference", conference.id}, {"participant", line}, {"by", self.id}});
  return {204, ""};
}

HttpAnswer MeetingControl::record(const HttpRequest& request, const ConferenceEntry& conference,
                                  const ConferenceBook::Participant& self) {
  if (request.method != HttpMethod::kPost) return wrong_method();
  const auto wanted = protocol::parse_record_request(request.body);
  if (!wanted) return bad_request();
  if (self.entry.role != Role::kChairperson || !conference.recording) {
    return failure(403, "CC-RECORD");
  }
  const std::lock_guard lock(mutex_);
  const auto state = book_.recording(conference.id);
  const std::int64_t now = SystemClock::now();
  std::erase_if(wishes_, [now](const auto& item) { return item.second.until_ns < now; });
  const auto wish = wishes_.find(conference.id);
  const bool waiting = wish != wishes_.end() && wish->second.recording == wanted->recording;
  if (state.on == wanted->recording && !(waiting && state.failed)) {
    wishes_.erase(conference.id);
    return {200, to_json(*wanted)};
  }
  if (waiting && (state.failed || request.final)) {
    wishes_.erase(wish);
    if (wanted->recording) actions_.record(conference.id, false);
    return failure(500, "CC-RECORD");
  }
  if (!waiting) {
    wishes_[conference.id] = {wanted->recording,
                              now + (kRecordingWithinS + 1) * std::int64_t{1'000'000'000}};
    if (state.failed) book_.set_recording(conference.id, state.on);
    actions_.record(conference.id, wanted->recording);
    log::info(kLog, wanted->recording ? "recording is to begin" : "recording is to end",
              {{"conference", conference.id}, {"by", self.id}});
  }
  HttpAnswer later;
  later.wait_s = kRecordingWithinS;
  return later;
}

std::optional<HttpAnswer> MeetingControl::operator_desk(const HttpRequest& request,
                                                        std::string_view path) {
  constexpr std::string_view kBase = "/operator";
  if (path.substr(0, kBase.size()) != kBase) return std::nullopt;
  path.remove_prefix(kBase.size());
  if (!path.empty() && path.front() != '/') return std::nullopt;
  const std::string_view participant = path.empty() ? path : path.substr(1);
  if (request.method == HttpMethod::kDelete && !participant.empty()) {
    if (!book_.set_operator_asked(participant, false)) return not_there();
    log::info(kLog, "operator request done", {{"participant", participant}});
    return HttpAnswer{204, ""};
  }
  if (request.method != HttpMethod::kGet || !participant.empty()) return wrong_method();
  json list = json::array();
  for (const auto& line : book_.operator_asked()) {
    list.push_back({{"participant", line.id},
                    {"conference", line.conference},
                    {"name", line.entry.name},
                    {"serial", line.serial}});
  }
  return HttpAnswer{
      200, json({{"lines", std::move(list)}}).dump(-1, ' ', false, json::error_handler_t::replace)};
}

}  // namespace conclave::service
