// SPDX-License-Identifier: Apache-2.0
#include "service/admin_desk.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/durable_file.h"
#include "base/log.h"
#include "service/call_control.h"
#include "service/files.h"
#include "service/provisioning/provisioning.h"

namespace conclave::service {
namespace {

using nlohmann::json;

constexpr const char* kLog = "service.admin";
constexpr int kWrongTokens = 10;  // a minute of an address
constexpr int kWindowS = 60;
constexpr std::size_t kTokenBytes = 32;
constexpr std::size_t kMaxDepth = 4;

HttpAnswer answer(int status, const json& body) {
  return {status, body.dump(-1, ' ', false, json::error_handler_t::replace)};
}
HttpAnswer refused(int status, const std::string& message) {
  return answer(status, {{"error", {{"id", "ADMIN"}, {"message", message}}}});
}

json json_of(const FaultOrder& order) {
  json out{{"number", order.number},
           {"id", order.id},
           {"stage", to_string(order.stage)},
           {"count", order.left}};
  if (!order.phone.empty()) out["phone"] = order.phone;
  return out;
}

json parse_body(const std::string& text) {
  bool deep = false;
  const json::parser_callback_t limit = [&deep](int depth, json::parse_event_t, json&) {
    deep = deep || depth > static_cast<int>(kMaxDepth);
    return !deep;
  };
  json value = json::parse(text, limit, /*allow_exceptions=*/false);
  return deep || !value.is_object() ? json() : value;
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
    HttpAnswer later = refused(429, "too many wrong tokens");
    later.retry_after_s = wait;
    return later;
  }
  if (!same_secret(request.bearer, token_)) {
    wrong_tokens_.failed(request.peer);
    log::warning(kLog, "wrong administrator's token", {{"peer", request.peer}});
    return refused(401, "give the administrator's token as Authorization: Bearer");
  }
  std::string_view path = request.path;
  path.remove_prefix(kBasePath.size());
  if (extension_) {
    if (auto answered = extension_(request, path)) return std::move(*answered);
  }
  const auto below = [&path](std::string_view name) -> std::optional<std::string_view> {
    if (path.substr(0, name.size()) != name) return std::nullopt;
    const auto rest = path.substr(name.size());
    if (rest.empty()) return rest;
    return rest.front() == '/' ? std::optional(rest.substr(1)) : std::nullopt;
  };
  if (const auto rest = below("/faults")) return faults(request, *rest);
  if (const auto rest = below("/phones")) return phones(request, *rest);
  return refused(404, "there are /admin/faults and /admin/phones");
}

HttpAnswer AdminDesk::faults(const HttpRequest& request, std::string_view rest) {
  if (request.method == HttpMethod::kDelete) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (!rest.empty() &&
        (error != std::errc() || end != rest.data() + rest.size() || number == 0)) {
      return refused(404, "no such order");
    }
    const int gone = faults_.cancel(number);
    if (!rest.empty() && gone == 0) return refused(404, "no such order");
    return {204, ""};
  }
  if (!rest.empty()) return refused(404, "no such order");
  if (request.method == HttpMethod::kGet) {
    json orders = json::array();
    for (const auto& order : faults_.orders()) orders.push_back(json_of(order));
    json kinds = json::array();
    for (const auto& kind : FaultDesk::kinds()) {
      kinds.push_back({{"id", kind.id}, {"stage", to_string(kind.stage)}});
    }
    return answer(200, {{"orders", std::move(orders)}, {"kinds", std::move(kinds)}});
  }
  const json body = parse_body(request.body);
  if (body.is_null()) return refused(400, "the body must be a JSON object");
  const auto id = text_of(body, "id");
  const auto phone = text_of(body, "phone");
  const auto stage_text = text_of(body, "stage");
  const auto count = body.find("count");
  if (!id || !phone || !stage_text || (count != body.end() && !count->is_number_integer())) {
    return refused(400, "id, phone and stage are texts, count is a whole number");
  }
  std::optional<FaultStage> stage;
  if (!stage_text->empty()) {
    stage = parse_fault_stage(*stage_text);
    if (!stage)
      return refused(400,
                     "stage is activation, login, join, call-control, console or provisioning");
  }
  const json number = count != body.end() ? *count : json(1);
  // An unsigned beyond int64 must not wrap into the range.
  const bool sane = number >= 1 && number <= FaultDesk::kMaxCount;
  const auto made = faults_.order(*id, *phone, sane ? number.get<int>() : 0, stage);
  if (!made) return refused(400, made.error().message);
  log::info(kLog, "fault ordered",
            {{"id", made->id}, {"phone", made->phone}, {"stage", to_string(made->stage)}});
  return answer(200, json_of(*made));
}

HttpAnswer AdminDesk::phones(const HttpRequest& request, std::string_view serial) {
  if (serial.empty() && request.method == HttpMethod::kGet) {
    json list = json::object();
    for (const auto& phone : phones_.list()) {
      list[phone.serial] = {{"state", to_string(phone.state)}, {"by_pin", phone.by_pin}};
      if (phone.since_s != 0) list[phone.serial]["since"] = phone.since_s;
    }
    return answer(200, {{"phones", std::move(list)}});
  }
  if (serial.empty() || request.method != HttpMethod::kPost) {
    return refused(405, "GET /admin/phones or POST /admin/phones/SERIAL");
  }
  const json body = parse_body(request.body);
  const auto state_text = body.is_null() ? std::nullopt : text_of(body, "state");
  const auto state = state_text ? parse_phone_state(*state_text) : std::nullopt;
  if (!state) return refused(400, "state is active, inactive or deactivated");
  const std::string name(serial);
  if (!protocol::valid_identifier(name)) return refused(404, "no such phone");
  if (const Status done = phones_.set_state(name, *state); !done) {
    return refused(500, done.error().message);
  }
  log::info(kLog, "phone", {{"serial", name}, {"state", to_string(*state)}});
  state_changed_(name, *state);
  return answer(200, {{"state", to_string(*state)}});
}

HttpAnswer route(const HttpRequest& request, CallControl& control, AdminDesk& admin,
                 Provisioning* provisioning) {
  const std::string_view path = request.path;
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
