// SPDX-License-Identifier: Apache-2.0
// The administrator's side of provisioning.
#include "base/log.h"
#include "service/provisioning/answers.h"
#include "service/provisioning/provisioning.h"

namespace conclave::service {
namespace {

using nlohmann::json;
using Part = ConfigurationShelf::Part;

constexpr const char* kLog = "service.provisioning";

/// Values that the desk takes but does not show again.
bool is_secret(std::string_view name) {
  for (const std::string_view end : {"Password", "Pin", "Passcode", "Token", "Secret"}) {
    if (name.ends_with(end)) return true;
  }
  return false;
}

json json_of(const DeviceConfiguration& device) {
  json parameters = json::object();
  for (const auto& [name, value] : device.parameters) {
    parameters[name] = is_secret(name) ? json(nullptr) : json(value);
  }
  return {{"provider", device.provider},
          {"site", device.site},
          {"absent", device.absent_default ? "default" : "keep"},
          {"parameters", std::move(parameters)},
          {"locks", device.locks}};
}

/// Members that are there replace those of `device`; says what is wrong.
Status read_device(const json& body, DeviceConfiguration& device) {
  for (const auto& [key, value] : body.items()) {
    if (key == "provider" || key == "site" || key == "absent") {
      if (!value.is_string()) return Error{key + " is a text"};
    }
    if (key == "provider") {
      device.provider = value.get<std::string>();
    } else if (key == "site") {
      device.site = value.get<std::string>();
    } else if (key == "absent") {
      if (value != "default" && value != "keep") return Error{"absent is \"default\" or \"keep\""};
      device.absent_default = value == "default";
    } else if (key == "parameters") {
      if (!value.is_object()) return Error{"parameters is an object of names and values"};
      std::map<std::string, std::string> parameters;
      for (const auto& [name, item] : value.items()) {
        const auto before = device.parameters.find(name);
        if (item.is_null() && is_secret(name) && before != device.parameters.end()) {
          parameters[name] = before->second;  // as it was shown: unchanged
        } else if (item.is_string()) {
          parameters[name] = item.get<std::string>();
        } else if (item.is_boolean() || item.is_number()) {
          parameters[name] = item.dump();
        } else {
          return Error{name + " must be a text, a number or true/false"};
        }
      }
      device.parameters = std::move(parameters);
    } else if (key == "locks") {
      if (!value.is_array()) return Error{"locks is a list of names"};
      std::set<std::string> locks;
      for (const auto& item : value) {
        if (!item.is_string()) return Error{"locks is a list of names"};
        locks.insert(item.get<std::string>());
      }
      device.locks = std::move(locks);
    } else {
      return Error{"\"" + key.substr(0, 64) + "\" is not known here"};
    }
  }
  return {};
}

}  // namespace

std::optional<HttpAnswer> Provisioning::admin(const HttpRequest& request, std::string_view path) {
  const auto below = [&path](std::string_view base) -> std::optional<std::string_view> {
    if (!path.starts_with(base)) return std::nullopt;
    const auto rest = path.substr(base.size());
    if (rest.empty()) return rest;
    return rest.front() == '/' ? std::optional(rest.substr(1)) : std::nullopt;
  };
  if (const auto rest = below("/provisioning")) {
    path = *rest;
    if (path.empty() && request.method == HttpMethod::kGet) {
      json providers = json::array();
      for (const auto& p : shelf_->providers()) {
        providers.push_back({{"id", p.id}, {"name", p.name}, {"address", p.address}});
      }
      return json_answer(200, {{"revision", shelf_->revision()},
                               {"console", console_address()},
                               {"server", server_address()},
                               {"signed", config_.sign},
                               {"models", shelf_->names(Part::kModel)},
                               {"sites", shelf_->names(Part::kSite)},
                               {"cas", shelf_->names(Part::kCa)},
                               {"providers", std::move(providers)}});
    }
    if (const auto name = below("models")) return admin_texts(request, Part::kModel, *name);
    if (const auto name = below("sites")) return admin_texts(request, Part::kSite, *name);
    if (const auto name = below("cas")) return admin_texts(request, Part::kCa, *name);
    if (path == "providers") return admin_providers(request);
    return admin_error(404, "there are models, sites, cas and providers");
  }
  const auto phone = below("/phones");
  if (!phone) return std::nullopt;
  const auto slash = phone->find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string serial(phone->substr(0, slash));
  const std::string_view what = phone->substr(slash + 1);
  if (what != "configuration" && what != "report" && what != "resync") return std::nullopt;
  if (!protocol::valid_identifier(serial)) return admin_error(404, "no such phone");
  if (what == "configuration") return admin_configuration(request, serial);
  if (what == "report") return admin_reports(request, serial);
  return admin_resync(request, serial);
}

HttpAnswer Provisioning::admin_texts(const HttpRequest& request, Part part,
                                     std::string_view name_view) {
  const std::string name(name_view);
  if (request.method == HttpMethod::kGet) {
    const auto text = shelf_->text(part, name);
    if (!text) return admin_error(500, text.error().message);
    if (!*text) return admin_error(404, "there is no such text");
    return json_answer(200, {{"text", **text}});
  }
  if (request.method == HttpMethod::kDelete) {
    const auto gone = shelf_->remove(part, name);
    if (!gone) return admin_error(500, gone.error().message);
    return *gone ? HttpAnswer{204, ""} : admin_error(404, "there is no such text");
  }
  const json body = parse_object(request.body, 2);
  if (body.is_null() || !body.contains("text") || !body["text"].is_string()) {
    return admin_error(400, "the body is {\"text\": …}");
  }
  if (const Status kept = shelf_->set_text(part, name, body["text"].get<std::string>()); !kept) {
    return admin_error(400, kept.error().message);
  }
  return json_answer(200, {{"revision", shelf_->revision()}});
}

HttpAnswer Provisioning::admin_providers(const HttpRequest& request) {
  if (request.method == HttpMethod::kPost) {
    const json body = parse_object(request.body, 4);
    if (body.is_null() || !body.contains("providers") || !body["providers"].is_array()) {
      return admin_error(400, "the body is {\"providers\": [{id, name, address?}]}");
    }
    std::vector<ProviderEntry> list;
    for (const auto& item : body["providers"]) {
      const auto text = [&item](const char* key) {
        const bool there = item.is_object() && item.contains(key) && item[key].is_string();
        return there ? item[key].get<std::string>() : std::string();
      };
      list.push_back({text("id"), text("name"), text("address")});
    }
    if (const Status kept = shelf_->set_providers(std::move(list)); !kept) {
      return admin_error(400, kept.error().message);
    }
  } else if (request.method != HttpMethod::kGet) {
    return admin_error(405, "GET or POST");
  }
  json providers = json::array();
  for (const auto& p : shelf_->providers()) {
    providers.push_back({{"id", p.id}, {"name", p.name}, {"address", p.address}});
  }
  return json_answer(200, {{"providers", std::move(providers)}});
}

HttpAnswer Provisioning::admin_configuration(const HttpRequest& request,
                                             const std::string& serial) {
  if (request.method == HttpMethod::kDelete) {
    const auto gone = shelf_->remove_device(serial);
    if (!gone) return admin_error(500, gone.error().message);
    return *gone ? HttpAnswer{204, ""} : admin_error(404, "this phone has no configuration");
  }
  if (request.method == HttpMethod::kPost) {
    const json body = parse_object(request.body, 3);
    if (body.is_null()) return admin_error(400, "the body must be a JSON object");
    DeviceConfiguration device = shelf_->device(serial);
    if (const Status read = read_device(body, device); !read) {
      return admin_error(400, read.error().message);
    }
    if (const Status kept = shelf_->set_device(serial, std::move(device)); !kept) {
      return admin_error(400, kept.error().message);
    }
    log::info(kLog, "device configuration", {{"serial", serial}});
  }
  json out = json_of(shelf_->device(serial));
  out["revision"] = shelf_->revision();
  return json_answer(200, out);
}

HttpAnswer Provisioning::admin_reports(const HttpRequest& request, const std::string& serial) {
  if (request.method != HttpMethod::kGet) return admin_error(405, "GET");
  json reports = json::array();
  for (const auto& kept : reports_.reports(serial)) {
    json report = json::parse(kept.body, nullptr, false);
    if (kept.kind != kReportKind || !report.is_object()) continue;
    report["received"] = kept.at_s;
    reports.push_back(std::move(report));
  }
  return json_answer(200, {{"reports", std::move(reports)}});
}

HttpAnswer Provisioning::admin_resync(const HttpRequest& request, const std::string& serial) {
  if (request.method != HttpMethod::kPost) return admin_error(405, "POST");
  bool waiting = false;
  {
    const std::lock_guard lock(mutex_);
    Phone& phone = phones_[serial];
    waiting = phone.listening;
    ++phone.events;
    phone.listening = false;
  }
  const bool by_sip = hooks_.check_sync && hooks_.check_sync(serial);
  if (hooks_.notify) hooks_.notify();
  log::info(kLog, "resync asked for", {{"serial", serial}, {"sip", by_sip}, {"waiting", waiting}});
  return json_answer(200, {{"sip", by_sip}, {"waiting", waiting}});
}

}  // namespace conclave::service
