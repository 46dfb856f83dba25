// SPDX-License-Identifier: Apache-2.0
#include "service/admin/meeting_desk.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/log.h"
#include "service/admin/answers.h"
#include "service/protocol/json_object.h"

namespace conclave::service {
namespace {

using nlohmann::json;

constexpr const char* kLog = "service.admin";
constexpr int kMaxDepth = 4;

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    parts.emplace_back(path.substr(0, slash));
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  return parts;
}

HttpAnswer no_meeting() { return admin_error(404, "no such meeting"); }

}  // namespace

HttpAnswer MeetingDesk::handle(const HttpRequest& request, std::string_view rest) {
  const auto parts = split(rest);
  const bool get = request.method == HttpMethod::kGet;
  const bool post = request.method == HttpMethod::kPost;
  const bool gone = request.method == HttpMethod::kDelete;
  if (parts.empty()) return get ? list() : admin_error(405, "GET /admin/meetings");
  const std::string& id = parts[0];
  if (!protocol::valid_identifier(id)) {
    return admin_error(404, "an id is 1 to 64 letters, digits, '-', '_' or '.'");
  }
  if (parts.size() == 1 && post) return put(request, id);
  if (parts.size() == 1 && gone) return remove(id);
  if (!meetings_.find(id)) return no_meeting();
  if (parts.size() == 2 && parts[1] == "mute" && post) return mute(request, id, "");
  if (parts.size() == 4 && parts[1] == "participants" && parts[3] == "mute" && post) {
    return mute(request, id, parts[2]);
  }
  if (parts.size() == 3 && parts[1] == "participants" && gone) return eject(id, parts[2]);
  return admin_error(405, "see /openapi.json for what can be asked of a meeting");
}

HttpAnswer MeetingDesk::list() const {
  json out = json::array();
  for (const auto& [entry, declared] : meetings_.list()) {
    json meeting = json::parse(to_json(entry));
    meeting["declared"] = declared;
    meeting["all_muted"] = book_.all_muted(entry.id);
    json people = json::object();
    for (const auto& p : book_.participants(entry.id)) {
      people[p.id] = {{"name", p.entry.name},   {"role", protocol::to_string(p.entry.role)},
                      {"muted", p.entry.muted}, {"talking", p.entry.talking},
                      {"present", p.present},   {"phone", p.serial}};
    }
    meeting["participants"] = std::move(people);
    out.push_back(std::move(meeting));
  }
  return json_answer(200, {{"meetings", std::move(out)}});
}

HttpAnswer MeetingDesk::put(const HttpRequest& request, const std::string& id) {
  auto body = protocol::parse_object(request.body, protocol::kMaxRequestBytes, kMaxDepth);
  if (!body) return admin_error(400, "the body must be a JSON object: " + body.error().message);
  (*body)["id"] = id;
  const auto entry = parse_conference(body->dump(-1, ' ', false, json::error_handler_t::replace));
  if (!entry) return admin_error(400, entry.error().message);
  if (const Status kept = meetings_.put(*entry); !kept) {
    return admin_error(409, kept.error().message);
  }
  log::info(kLog, "meeting", {{"id", id}});
  return json_answer(200, json::parse(to_json(*entry)));
}

HttpAnswer MeetingDesk::remove(const std::string& id) {
  const auto gone = meetings_.remove(id);
  if (!gone) return admin_error(500, gone.error().message);
  if (!*gone) return no_meeting();
  for (const auto& participant : book_.participants(id)) book_.remove(participant.id);
  log::info(kLog, "meeting deleted", {{"id", id}});
  return {204, ""};
}

HttpAnswer MeetingDesk::mute(const HttpRequest& request, const std::string& id,
                             const std::string& who) {
  const auto wanted = protocol::parse_mute_request(request.body);
  if (!wanted) return admin_error(400, "muted is true or false");
  if (who.empty()) {
    book_.set_all_muted(id, wanted->muted);
  } else {
    const auto participant = book_.find(who);
    if (!participant || participant->conference != id || !book_.set_muted(who, wanted->muted)) {
      return admin_error(404, "no such participant");
    }
  }
  log::info(kLog, "mute", {{"meeting", id}, {"participant", who}, {"muted", wanted->muted}});
  return {200, to_json(*wanted)};
}

HttpAnswer MeetingDesk::eject(const std::string& id, const std::string& who) {
  const auto participant = book_.find(who);
  if (!participant || participant->conference != id || !book_.remove(who)) {
    return admin_error(404, "no such participant");
  }
  log::info(kLog, "eject", {{"meeting", id}, {"participant", who}});
  return {204, ""};
}

}  // namespace conclave::service
