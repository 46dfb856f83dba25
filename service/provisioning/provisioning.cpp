// SPDX-License-Identifier: Apache-2.0
#include "service/provisioning/provisioning.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/log.h"
#include "service/files.h"
#include "service/lab_ca.h"
#include "service/provisioning/answers.h"

namespace conclave::service {
namespace {

using nlohmann::json;

constexpr const char* kLog = "service.provisioning";
constexpr int kReportsAMinute = 30;
constexpr int kMaxWait = 30;

/// The value of `key` in a query of plain words; empty when it is not there.
std::string_view query_value(std::string_view query, std::string_view key) {
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const std::string_view item = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (item.size() > key.size() && item.starts_with(key) && item[key.size()] == '=') {
      return item.substr(key.size() + 1);
    }
  }
  return {};
}

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Provisioning::Provisioning(const ProvisioningConfig& config, const Clock& clock, FaultDesk& faults,
                           Store& reports, Hooks hooks)
    : config_(config),
      faults_(faults),
      reports_(reports),
      hooks_(std::move(hooks)),
      store_(config.folder),
      reports_of_phone_(clock, kReportsAMinute, 60) {}

Result<std::unique_ptr<Provisioning>> Provisioning::create(const ProvisioningConfig& config,
                                                           const Clock& clock, FaultDesk& faults,
                                                           Store& reports, Hooks hooks) {
  std::unique_ptr<Provisioning> made(
      new Provisioning(config, clock, faults, reports, std::move(hooks)));
  CONCLAVE_CHECK_STATUS(made->store_.open());
  std::optional<ConfigSigner> signer;
  if (config.sign) {
    CONCLAVE_TRY(signer, ConfigSigner::load_or_make(config.folder + "/signing.key",
                                                    made->public_key_file()));
  }
  made->shelf_ = std::make_unique<ConfigurationShelf>(made->store_, std::move(signer));
  CONCLAVE_CHECK_STATUS(made->shelf_->load());
  return made;
}

std::string Provisioning::public_key_file() const {
  return config_.sign ? config_.folder + "/signing.pub.pem" : std::string();
}

bool Provisioning::owns(std::string_view path) {
  const auto below = [path](std::string_view base) {
    return path.starts_with(base) && (path.size() == base.size() || path[base.size()] == '/');
  };
  return below(kConsolePath) || below(kServerPath);
}

HttpAnswer Provisioning::handle(const HttpRequest& request) {
  std::string_view path = request.path;
  const bool to_console = path.starts_with(kConsolePath);
  path.remove_prefix(to_console ? kConsolePath.size() : kServerPath.size());
  if (!path.empty()) path.remove_prefix(1);
  return to_console ? console(request, path) : server(request, path);
}

std::optional<HttpAnswer> Provisioning::certificate_problem(const HttpRequest& request,
                                                            std::string* serial) const {
  using Verdict = DeviceIdentity::Verdict;
  const DeviceIdentity device = identify_device(config_.ca_file, request.certificate_der);
  *serial = device.serial;
  const auto problem = [&](int status, const char* id, const char* why) {
    log::warning(kLog, why, {{"peer", request.peer}});
    return error_answer(status, "ACT-412", id, why);
  };
  switch (device.verdict) {
    case Verdict::kGood:
      return std::nullopt;
    case Verdict::kAbsent:
      return problem(401, "CERT-ABSENT", "The phone has shown no device certificate.");
    case Verdict::kUntrusted:
      return problem(412, "CERT-UNTRUSTED",
                     "The device certificate was not issued by a CA that this service trusts.");
    case Verdict::kExpired:
      return problem(412, "CERT-EXPIRED",
                     "The device certificate has expired or is not valid yet.");
    case Verdict::kNoSerial:
      break;
  }
  return problem(412, "CERT-SERIAL", "The certificate names no serial number: it is no device's.");
}

std::vector<ProviderEntry> Provisioning::providers() const {
  auto list = shelf_->providers();
  if (list.empty()) list.push_back({"conclave", "Conclave laboratory", ""});
  return list;
}

HttpAnswer Provisioning::sent_to(const ProviderEntry& provider) const {
  const std::string address = provider.address.empty() ? server_address() : provider.address;
  HttpAnswer answer = json_answer(
      307, {{"provider", {{"id", provider.id}, {"name", provider.name}}}, {"address", address}});
  answer.location = address;
  return answer;
}

HttpAnswer Provisioning::console(const HttpRequest& request, std::string_view rest) {
  if (!rest.empty() && rest != "redirect") return error_answer(404, "JOIN-984");
  std::string serial;
  if (auto problem = certificate_problem(request, &serial)) return std::move(*problem);
  if (auto fault = faults_.take(FaultStage::kConsole, serial)) return std::move(*fault);
  const auto all = providers();
  const auto find = [&all](const std::string& id) {
    return std::find_if(all.begin(), all.end(), [&](const auto& p) { return p.id == id; });
  };
  if (request.method == HttpMethod::kPost) {
    const json body = parse_object(request.body, 2);
    const auto chosen = body.is_null() ? body.end() : body.find("provider");
    if (chosen == body.end() || !chosen->is_string()) return error_answer(400, "JOIN-984");
    const auto provider = find(chosen->get<std::string>());
    if (provider == all.end()) {
      return error_answer(404, "JOIN-984", "PROVIDER-UNKNOWN", "The list has no such provider.");
    }
    DeviceConfiguration device = shelf_->device(serial);
    device.provider = provider->id;
    if (const Status kept = shelf_->set_device(serial, std::move(device)); !kept) {
      log::error(kLog, kept.error().message);
      return error_answer(500, "SVC-TEMP");
    }
    log::info(kLog, "provider chosen", {{"serial", serial}, {"provider", provider->id}});
    return sent_to(*provider);
  }
  if (request.method != HttpMethod::kGet) return error_answer(405, "JOIN-984");
  if (const auto provider = find(shelf_->device(serial).provider); provider != all.end()) {
    return sent_to(*provider);
  }
  // One that the directory of this service has is a customer of the first provider.
  if (hooks_.known && hooks_.known(serial)) return sent_to(all.front());
  json list = json::array();
  for (const auto& p : all) list.push_back({{"id", p.id}, {"name", p.name}});
  return json_answer(200, {{"providers", std::move(list)}});
}

HttpAnswer Provisioning::server(const HttpRequest& request, std::string_view rest) {
  const auto slash = rest.find('/');
  const std::string first(rest.substr(0, slash));
  const std::string_view what =
      slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  if (first == "ca.pem" && what.empty()) return ca(request, "");
  if (first == "ca") return ca(request, what);
  std::string serial;
  auto problem = certificate_problem(request, &serial);
  // What a phone has shown is held against it in a laboratory, too.
  if (problem && !(config_.open && request.certificate_der.empty())) return std::move(*problem);
  if (problem) serial = first;
  if (!protocol::valid_identifier(first)) return error_answer(404, "ACT-404");
  if (serial != first) {
    return error_answer(403, "ACT-412", "CERT-SERIAL",
                        "The certificate belongs to another phone than the address.");
  }
  if (what == "events" && request.method == HttpMethod::kGet) return events(request, serial);
  if (what == "report") return take_report(request, serial);
  if (request.method != HttpMethod::kGet) return error_answer(405, "JOIN-984");
  return file(request, serial, what);
}

HttpAnswer Provisioning::file(const HttpRequest& request, const std::string& serial,
                              std::string_view name) {
  if (auto fault = faults_.take(FaultStage::kProvisioning, serial)) return std::move(*fault);
  std::optional<std::string> text;
  if (name == "phone.conf") {
    std::string model(query_value(request.query, "model"));
    if (!protocol::valid_identifier(model)) model = "unknown";
    auto made = shelf_->phone_file(serial, model);
    if (!made) {
      log::error(kLog, made.error().message, {{"serial", serial}});
      return error_answer(500, "SVC-TEMP");
    }
    text = std::move(*made);
  } else {
    auto part = shelf_->part_file(serial, name);
    if (!part) {
      log::error(kLog, part.error().message, {{"serial", serial}});
      return error_answer(500, "SVC-TEMP");
    }
    text = std::move(*part);
  }
  if (!text) return error_answer(404, "ACT-404", "FILE-UNKNOWN", "There is no such file.");
  HttpAnswer answer;
  answer.content_type = "text/plain; charset=utf-8";
  answer.etag = '"' + sha256_hex(*text) + '"';
  if (request.if_none_match == answer.etag) {
    answer.status = 304;
    return answer;
  }
  answer.body = std::move(*text);
  return answer;
}

HttpAnswer Provisioning::ca(const HttpRequest& request, std::string_view name) {
  if (request.method != HttpMethod::kGet) return error_answer(405, "JOIN-984");
  Result<std::optional<std::string>> text = std::optional<std::string>();
  if (name.empty()) {
    bool missing = false;
    auto own = read_file(config_.ca_file, 64 * 1024, &missing);
    if (own) text = std::optional(std::move(*own));
  } else if (name.ends_with(".pem")) {
    text =
        shelf_->text(ConfigurationShelf::Part::kCa, std::string(name.substr(0, name.size() - 4)));
  }
  if (!text) return error_answer(500, "SVC-TEMP");
  if (!*text) return error_answer(404, "JOIN-984", "FILE-UNKNOWN", "There is no such file.");
  HttpAnswer answer;
  answer.content_type = "application/x-pem-file";
  answer.body = std::move(**text);
  return answer;
}

HttpAnswer Provisioning::take_report(const HttpRequest& request, const std::string& serial) {
  if (request.method != HttpMethod::kPost) return error_answer(405, "JOIN-984");
  if (const int wait = reports_of_phone_.blocked_for_s(serial); wait > 0) {
    HttpAnswer later = error_answer(429, "SVC-TEMP");
    later.retry_after_s = wait;
    return later;
  }
  reports_of_phone_.failed(serial);
  const json report =
      request.body.size() <= Store::kMaxReportBytes ? parse_object(request.body, 4) : json();
  if (report.is_null() || !report.contains("verdict") || !report["verdict"].is_string()) {
    return error_answer(400, "JOIN-984");
  }
  const Status kept = reports_.put_report(
      serial, kReportKind, report.dump(-1, ' ', false, json::error_handler_t::replace));
  if (!kept) {
    log::error(kLog, kept.error().message);
    return error_answer(500, "SVC-TEMP");
  }
  log::info(kLog, "report",
            {{"serial", serial}, {"verdict", report["verdict"].get<std::string>()}});
  return {204, ""};
}

HttpAnswer Provisioning::events(const HttpRequest& request, const std::string& serial) {
  const auto since = number_of(query_value(request.query, "since"));
  const auto wait = number_of(query_value(request.query, "wait"));
  const std::lock_guard lock(mutex_);
  if (phones_.size() >= 10'000 && !phones_.contains(serial)) return error_answer(503, "SVC-TEMP");
  Phone& phone = phones_[serial];
  phone.listening = since && *since == phone.events && !request.final;
  if (phone.listening && wait && *wait > 0) {
    HttpAnswer later;
    later.wait_s = static_cast<int>(std::min<std::uint64_t>(*wait, kMaxWait));
    return later;
  }
  return json_answer(200, {{"rev", phone.events}});
}

}  // namespace conclave::service
