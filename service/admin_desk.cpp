// SPDX-License-Identifier: Apache-2.0
#include "service/admin_desk.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/durable_file.h"
#include "base/log.h"
#include "service/admin/answers.h"
#include "service/admin/pages.h"
#include "service/call_control.h"
#include "service/files.h"
#include "service/protocol/json_object.h"
#include "service/provisioning/provisioning.h"

namespace conclave::service {
namespace {

using nlohmann::json;

constexpr const char* kLog = "service.admin";
constexpr int kWrongTokens = 10;  // a minute of an address
constexpr int kWindowS = 60;
constexpr std::size_t kTokenBytes = 32;
constexpr int kMaxDepth = 4;

json json_of(const FaultOrder& order) {
  json out{{"number", order.number},
           {"id", order.id},
           {"stage", to_string(order.stage)},
           {"count", order.left}};
  if (!order.phone.empty()) out["phone"] = order.phone;
  return out;
}

json parse_body(const std::string& text) {
  return protocol::parse_object(text, text.size(), kMaxDepth).value_or(json());
}

/// The member's text; empty when absent; nothing when it is no text.
std::optional<std::string> text_of(const json& body, const char* key) {
  const auto at = body.find(key);
  if (at == body.end()) return std::string();
  return at->is_string() ? std::optional(at->get<std::string>()) : std::nullopt;
}

}  // namespace

Result<std::string> load_or_make_admin_token(const std::string& path) {
  bool missing = false;
  auto text = read_file(path, 256, &missing);
  if (missing) {
    std::string token = random_hex(kTokenBytes);
    CONCLAVE_CHECK_STATUS(write_durably(path, token + "\n", 0600));
    return token;
  }
  if (!text) return text;
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
  if (text->size() < 16 || text->find_first_of(" \t\n\r") != std::string::npos) {
    return Error{path +
                 " must hold one word of at least 16 characters; remove it to get a new one"};
  }
  return text;
}

AdminDesk::AdminDesk(const Clock& clock, std::string token, PhoneBook& phones, FaultDesk& faults,
                     std::function<void(const std::string&, PhoneState)> state_changed)
    : token_(std::move(token)),
      phones_(phones),
      faults_(faults),
      state_changed_(std::move(state_changed)),
      wrong_tokens_(clock, kWrongTokens, kWindowS) {}

HttpAnswer AdminDesk::handle(const HttpRequest& request) {
  if (const int wait = wrong_tokens_.blocked_for_s(request.peer); wait > 0) {
    HttpAnswer later = admin_error(429, "too many wrong tokens");
    later.retry_after_s = wait;
    return later;
  }
  if (!same_secret(request.bearer, token_)) {
    wrong_tokens_.failed(request.peer);
    log::warning(kLog, "wrong administrator's token", {{"peer", request.peer}});
    return admin_error(401, "give the administrator's token as Authorization: Bearer");
  }
  std::string_view path = request.path;
  path.remove_prefix(kBasePath.size());
  if (extension_) {
    if (auto answered = extension_(request, path)) return std::move(*answered);
  }
  if (const auto rest = below(path, "/faults")) return faults(request, *rest);
  if (const auto rest = below(path, "/phones")) return phones(request, *rest);
  if (const auto rest = below(path, "/meetings"); rest && meetings_ != nullptr) {
    return meetings_->handle(request, *rest);
  }
  if (path == "/health" && health_) {
    if (request.method != HttpMethod::kGet) return admin_error(405, "GET /admin/health");
    return {200, health_()};
  }
  return admin_error(404, "see /openapi.json for what there is below /admin");
}

HttpAnswer AdminDesk::faults(const HttpRequest& request, std::string_view rest) {
  if (request.method == HttpMethod::kDelete) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (!rest.empty() &&
        (error != std::errc() || end != rest.data() + rest.size() || number == 0)) {
      return admin_error(404, "no such order");
    }
    const int gone = faults_.cancel(number);
    if (!rest.empty() && gone == 0) return admin_error(404, "no such order");
    return {204, ""};
  }
  if (!rest.empty()) return admin_error(404, "no such order");
  if (request.method == HttpMethod::kGet) {
    json orders = json::array();
    for (const auto& order : faults_.orders()) orders.push_back(json_of(order));
    json kinds = json::array();
    for (const auto& kind : FaultDesk::kinds()) {
      kinds.push_back({{"id", kind.id}, {"stage", to_string(kind.stage)}});
      if (const auto text = message_of_error(kind.id); !text.empty()) {
        kinds.back()["message"] = text;
      }
    }
    return json_answer(200, {{"orders", std::move(orders)}, {"kinds", std::move(kinds)}});
  }
  const json body = parse_body(request.body);
  if (body.is_null()) return admin_error(400, "the body must be a JSON object");
  const auto id = text_of(body, "id");
  const auto phone = text_of(body, "phone");
  const auto stage_text = text_of(body, "stage");
  const auto count = body.find("count");
  if (!id || !phone || !stage_text || (count != body.end() && !count->is_number_integer())) {
    return admin_error(400, "id, phone and stage are texts, count is a whole number");
  }
  std::optional<FaultStage> stage;
  if (!stage_text->empty()) {
    stage = parse_fault_stage(*stage_text);
    if (!stage) {
      return admin_error(400,
                         "stage is activation, login, join, call-control, console or provisioning");
    }
  }
  const json number = count != body.end() ? *count : json(1);
  // An unsigned beyond int64 must not wrap into the range.
  const bool sane = number >= 1 && number <= FaultDesk::kMaxCount;
  const auto made = faults_.order(*id, *phone, sane ? number.get<int>() : 0, stage);
  if (!made) return admin_error(400, made.error().message);
  log::info(kLog, "fault ordered",
            {{"id", made->id}, {"phone", made->phone}, {"stage", to_string(made->stage)}});
  return json_answer(200, json_of(*made));
}

HttpAnswer AdminDesk::list_phones() {
  const auto reports =
      store_ != nullptr ? store_->newest_reports() : std::map<std::string, PhoneReport>();
  json list = json::object();
  for (const auto& phone : phones_.list()) {
    json& out = list[phone.serial];
    out = {{"state", to_string(phone.state)},
           {"by_pin", phone.by_pin},
           {"known", phone.known},
           {"declared", phone.declared}};
    if (phone.since_s != 0) out["since"] = phone.since_s;
    if (!phone.entry.pin.empty()) out["pin"] = phone.entry.pin;
    if (phone.entry.pin_expires_s != 0) out["pin_expires"] = last_day_of(phone.entry);
    if (!phone.entry.certificate.empty()) out["certificate_sha256"] = phone.entry.certificate;
    if (phone.seen) {
      out["seen"] = {{"at", phone.seen->at_s},
                     {"from", phone.seen->peer},
                     {"model", phone.seen->model},
                     {"version", phone.seen->version}};
    }
    if (const auto at = reports.find(phone.serial); at != reports.end()) {
      out["report"] = {{"at", at->second.at_s}, {"kind", at->second.kind}};
    }
  }
  return json_answer(200, {{"phones", std::move(list)}});
}

HttpAnswer AdminDesk::put_phone(const HttpRequest& request, const std::string& serial) {
  const json body = parse_body(request.body);
  if (body.is_null()) return admin_error(400, "the body must be a JSON object");
  const bool whole =
      body.contains("pin") || body.contains("pin_expires") || body.contains("certificate_sha256");
  PhoneState state{};
  Status done{};
  if (whole) {
    const auto entry = parse_phone(request.body);
    if (!entry) return admin_error(400, entry.error().message);
    state = entry->state;
    done = phones_.put(serial, *entry);
  } else {
    const auto state_text = text_of(body, "state");
    const auto wanted = state_text ? parse_phone_state(*state_text) : std::nullopt;
    if (!wanted) return admin_error(400, "state is active, inactive or deactivated");
    state = *wanted;
    done = phones_.set_state(serial, state);
  }
  if (!done) return admin_error(500, done.error().message);
  log::info(kLog, "phone", {{"serial", serial}, {"state", to_string(state)}});
  state_changed_(serial, state);
  return json_answer(200, {{"state", to_string(state)}});
}

HttpAnswer AdminDesk::forget_phone(const std::string& serial) {
  const auto gone = phones_.forget(serial);
  if (!gone) return admin_error(500, gone.error().message);
  if (!*gone) return admin_error(404, "nothing is remembered of this phone");
  log::info(kLog, "phone forgotten", {{"serial", serial}});
  state_changed_(serial, PhoneState::kInactive);
  return {204, ""};
}

HttpAnswer AdminDesk::phones(const HttpRequest& request, std::string_view rest) {
  if (rest.empty() && request.method == HttpMethod::kGet) return list_phones();
  if (rest.empty()) return admin_error(405, "GET /admin/phones or POST /admin/phones/SERIAL");
  const auto slash = rest.find('/');
  const std::string serial(rest.substr(0, slash));
  if (!protocol::valid_identifier(serial)) return admin_error(404, "no such phone");
  if (slash != std::string_view::npos) {
    return admin_error(404, "see /openapi.json for what can be asked of a phone");
  }
  if (request.method == HttpMethod::kPost) return put_phone(request, serial);
  if (request.method == HttpMethod::kDelete) return forget_phone(serial);
  return admin_error(405, "POST or DELETE /admin/phones/SERIAL");
}

HttpAnswer route(const HttpRequest& request, CallControl& control, AdminDesk& admin,
                 Provisioning* provisioning) {
  const std::string_view path = request.path;
  if (auto found = page(request)) return std::move(*found);
  if (provisioning != nullptr && Provisioning::owns(path)) return provisioning->handle(request);
  if (path == FaultDesk::kLoopPath) return FaultDesk::loop();
  const auto base = AdminDesk::kBasePath;
  if (path.substr(0, base.size()) == base && path.size() > base.size() &&
      path[base.size()] == '/') {
    return admin.handle(request);
  }
  return control.handle(request);
}

}  // namespace conclave::service
