// SPDX-License-Identifier: Apache-2.0
// Getting the configuration, telling the server what became of it, and waiting for the next.
#include <algorithm>

#include "base/log.h"
#include "control/errors/catalogue.h"
#include "control/loop/wall_clock.h"
#include "control/provisioning/provisioner.h"
#include "control/provisioning/provisioner_send.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;
using E = SetupEvent;
using M = SetupMethod;

constexpr const char* kLog = "provisioning";
constexpr std::size_t kMaxReport = 60 * 1024;
constexpr int kEventWaitS = 25;
constexpr std::int64_t kQuickMs = 2000;  // an answer that came sooner was not waited for
constexpr std::chrono::seconds kEventPause{20};

/// For a query: what would need escaping is left out.
std::string plain(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '-' || c == '_';
    if (ok && out.size() < 64) out += c;
  }
  return out;
}

}  // namespace

void Provisioner::use_server(const std::string& address, SetupMethod method) {
  if (address != server_) {
    stop_listening();
    events_unsupported_ = false;
    event_revision_.reset();
  }
  server_ = address;
  method_ = method;
}

void Provisioner::fetch() {
  way(method_).state = "trying";
  again_ = false;
  publish();
  fetcher_.fetch(base(), "model=" + plain(parts_.model) + "&version=" + plain(parts_.version),
                 timeout(),
                 [this](ConfigFetcher::Outcome outcome) { fetched(std::move(outcome)); });
}

ConfigReport Provisioner::apply(const FetchedConfiguration& fetched) {
  if (fetched.problem) {
    ConfigReport refused;
    refused.file = fetched.name;
    refused.problems.push_back(*fetched.problem);
    return refused;
  }
  return ConfigApplier(*parts_.settings)
      .apply(fetched.text, fetched.name, ConfigSource::kProvisioned,
             [&fetched](const std::string& name) -> Result<std::string> {
               const auto at = fetched.parts.find(name);
               if (at == fetched.parts.end()) {
                 return Error{"an include is the plain name of a file beside this one"};
               }
               return at->second;
             });
}

void Provisioner::fetched(ConfigFetcher::Outcome outcome) {
  if (outcome.failure) {
    failure_ = Failure{outcome.failure->error, outcome.failure->detail};
    if (established_ || method_ == M::kManual) {
      way(method_).failure = failure_;
      return event(E::kFailed);
    }
    return impossible(method_, *failure_, E::kFailed);
  }
  const ConfigReport report = apply(*outcome.configuration);
  for (const auto& problem : report.problems) log::warning(kLog, to_text(problem));
  log::info(kLog, "configuration", {{"verdict", name_of(report.verdict)}, {"reason", reason_}});
  const bool wanted = reason_ != "interval" && reason_ != "retry" && reason_ != "start";
  report_ = to_json(report);
  report_["at_ms"] = wall_ms();
  report_["method"] = name_of(method_);
  report_["reason"] = reason_;
  const std::string news = report.sha256 + "/" + std::string(name_of(report.verdict));
  if (!report.ok()) {
    failure_ =
        Failure{Error{"The configuration was refused: " + to_text(report.problems.front())}, {}};
    event(E::kRefused);
  } else {
    failure_.reset();
    way(method_).failure.reset();
    established_ = true;
    attempt_ = 0;
    synced_ms_ = wall_ms();
    Status kept = parts_.settings->set_state(Key::kProvisioningSetupAddress, server_);
    if (kept) {
      kept =
          parts_.settings->set_state(Key::kProvisioningSetupMethod, std::string(name_of(method_)));
    }
    if (!kept) log::warning(kLog, kept.error().message);
    event(E::kApplied);
  }
  if (news == told_ && !wanted) return;
  told_ = news;
  ++*aside_;
  get_ca();
}

void Provisioner::settle() {
  const auto seconds = parts_.settings->get_int(Key::kProvisioningSyncInterval);
  const auto percent = parts_.settings->get_int(Key::kProvisioningSyncJitter);
  const double spread = (static_cast<double>(random_() % 1000) / 999.0 * 2.0 - 1.0) *
                        static_cast<double>(percent) / 100.0;
  arm(std::chrono::milliseconds(
          static_cast<long>(static_cast<double>(seconds) * 1000.0 * (1.0 + spread))),
      E::kDue);
  reason_ = "interval";
  publish();
  if (parts_.settings->get_bool(Key::kProvisioningSyncEvents)) {
    listen();
  } else {
    stop_listening();
  }
  if (again_) {
    again_ = false;
    reason_ = "asked again";
    event(E::kResync);
  }
}

void Provisioner::get_ca() {
  const std::string url = parts_.settings->get_text(Key::kSecurityCertificatesDownloadUrl);
  if (url.empty()) {
    if (parts_.cas->forget() && parts_.trust_changed) parts_.trust_changed();
    return tell_server();
  }
  RestRequest request;
  request.url = url;
  request.accept = "application/x-pem-file, application/pkix-cert, text/plain;q=0.5";
  request.timeout = timeout();
  request.max_answer = CaStore::kMaxBytes;
  send(std::move(request), aside_, [this, url](const RestResponse& response) {
    Json ca{{"url", url}, {"ok", false}};
    if (response.too_long) {
      ca["why"] = "the file is larger than 64 KiB";
    } else if (response.failure) {
      ca["why"] = response.failure->message;
    } else if (response.status != 200) {
      ca["why"] = "the server answers " + std::to_string(response.status);
    } else if (const auto changed = parts_.cas->keep(response.body); !changed) {
      ca["why"] = changed.error().message;
    } else {
      ca["ok"] = true;
      ca["changed"] = *changed;
      if (*changed && parts_.trust_changed) parts_.trust_changed();
    }
    if (!ca["ok"]) log::warning(kLog, "CA certificate not taken", {{"why", dump_json(ca["why"])}});
    report_["ca"] = std::move(ca);
    publish();
    tell_server();
  });
}

void Provisioner::tell_server() {
  RestRequest request;
  request.method = "POST";
  request.url = base() + "/report";
  request.timeout = timeout();
  Json body = report_;
  body["serial"] = parts_.serial;
  body["model"] = parts_.model;
  body["version"] = parts_.version;
  request.body = dump_json(body);
  while (request.body.size() > kMaxReport && body["problems"].size() > 1) {
    body["problems"].erase(body["problems"].size() - 1);
    request.body = dump_json(body);
  }
  send(std::move(request), aside_, [this](const RestResponse& response) {
    const bool told = response.status / 100 == 2;
    if (!told) {
      // A plain web server takes none; that is no fault.
      log::info(kLog, "the server takes no report", {{"status", response.status}});
    }
    report_["told"] = told;
    publish();
  });
}

void Provisioner::listen() {
  if (event_request_ != 0 || event_timer_ != 0 || events_unsupported_) return;
  RestRequest request;
  request.url = base() + "/events?wait=" + std::to_string(kEventWaitS);
  if (event_revision_) request.url += "&since=" + std::to_string(*event_revision_);
  request.timeout = timeout() + std::chrono::seconds(kEventWaitS);
  request.max_answer = 4096;
  event_asked_ms_ = wall_ms();
  event_request_ = send(std::move(request), listening_, [this](const RestResponse& response) {
    event_request_ = 0;
    heard(response);
  });
}

void Provisioner::heard(const RestResponse& response) {
  const auto later = [this](std::chrono::milliseconds delay) {
    event_timer_ = parts_.loop->after(delay, [this] {
      event_timer_ = 0;
      listen();
    });
  };
  if (response.status == 404 || response.status == 405 || response.status == 501) {
    events_unsupported_ = true;
    return;
  }
  const Json answer =
      response.status == 200 ? parse_json(response.body, 2) : Json(Json::value_t::discarded);
  if (!answer.is_object() || !answer.contains("rev") || !answer["rev"].is_number_unsigned()) {
    ++event_failures_;
    return later(setup_retry_delay(event_failures_, static_cast<double>(random_() % 1000) / 999.0,
                                   parts_.first_retry));
  }
  event_failures_ = 0;
  const auto revision = answer["rev"].get<std::uint64_t>();
  const bool first = !event_revision_;
  const bool news = event_revision_ && *event_revision_ != revision;
  event_revision_ = revision;
  if (news) (void)resync("server");
  // One that is not waiting with its answer must not be asked without end.
  const bool quick = !first && !news && wall_ms() - event_asked_ms_ < kQuickMs;
  if (quick) return later(kEventPause);
  listen();
}

void Provisioner::stop_listening() {
  parts_.loop->cancel(event_timer_);
  event_timer_ = 0;
  if (event_request_ != 0) parts_.client->cancel(event_request_);
  event_request_ = 0;
  ++*listening_;
}

}  // namespace conclave::control
