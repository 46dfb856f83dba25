// SPDX-License-Identifier: Apache-2.0
// How the provisioning server is found: the redirect console and the local network.
#include <algorithm>

#include "base/log.h"
#include "control/conference/service_api.h"
#include "control/errors/catalogue.h"
#include "control/provisioning/provisioner.h"
#include "control/provisioning/provisioner_send.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;
using E = SetupEvent;
using M = SetupMethod;

constexpr int kMaxRedirects = 5;
constexpr int kDepth = 4;
constexpr std::size_t kMaxProviders = 100;
// RFC 6335 allows 15 characters between underscore and dot.
constexpr const char* kConsoleService = "_conclave-cons._tcp.";
constexpr const char* kServerService = "_conclave-prov._tcp.";

std::string text_of(const Json& json, const char* key, std::size_t longest) {
  const auto at = json.is_object() ? json.find(key) : json.end();
  if (at == json.end() || !at->is_string()) return {};
  auto text = at->get<std::string>();
  return text.size() <= longest ? text : std::string();
}

std::string trimmed(std::string address) {
  while (!address.empty() && address.back() == '/') address.pop_back();
  return address;
}

std::string address_of(const SrvRecord& record, const char* path) {
  std::string host = record.host;
  while (!host.empty() && host.back() == '.') host.pop_back();
  return "https://" + host + (record.port == 443 ? "" : ":" + std::to_string(record.port)) + path;
}

}  // namespace

void Provisioner::ask_console(const std::string& url, const Json& body, int redirects) {
  RestRequest request;
  request.url = url;
  request.follow = false;  // where it leads is the answer
  request.timeout = timeout();
  if (!body.is_null()) {
    request.method = "POST";
    request.body = dump_json(body);
  }
  request_ = send(std::move(request), round_, [this, body, redirects](RestResponse response) {
    request_ = 0;
    console_answered(std::move(response), body, redirects);
  });
}

void Provisioner::console_answered(RestResponse response, const Json& body, int redirects) {
  const auto fail = [&](Error error, std::optional<Error> detail = std::nullopt) {
    impossible(method_, {std::move(error), std::move(detail)}, E::kImpossible);
  };
  if (response.failure) return fail(*response.failure);
  const bool moved = response.status / 100 == 3;
  if (moved && response.status != 307) {
    // The console itself is elsewhere; 307 alone names the provisioning server.
    if (redirects >= kMaxRedirects) return fail(catalogue_error("JOIN-982"));
    if (!response.location.starts_with("https://")) {
      return fail(catalogue_error("NET-957", "the console redirects to something else than https"));
    }
    return ask_console(response.location, body, redirects + 1);
  }
  if (!moved && response.status / 100 != 2) {
    const ServiceFailure refused = failure_of(response, "JOIN-984");
    return fail(refused.error, refused.detail);
  }
  const Json answer = response.type.starts_with("application/json")
                          ? parse_json(response.body, kDepth)
                          : Json(Json::value_t::discarded);
  if (moved) {
    std::string address = answer.is_object() ? text_of(answer, "address", 512) : "";
    address = trimmed(address.empty() ? response.location : address);
    if (!usable_server_address(address)) {
      return fail(catalogue_error("JOIN-984", "the console names no https address"));
    }
    use_server(address, method_);
    return event(E::kKnown);
  }
  providers_.clear();
  const auto list = answer.is_object() ? answer.find("providers") : answer.end();
  if (!body.is_null() || !answer.is_object() || list == answer.end() || !list->is_array()) {
    return fail(catalogue_error("JOIN-984", "the console's answer cannot be read"));
  }
  for (const Json& item : *list) {
    Provider provider{text_of(item, "id", 64), text_of(item, "name", 128)};
    if (!service::protocol::valid_identifier(provider.id) ||
        !service::protocol::valid_text(provider.name, 128) || provider.name.empty() ||
        providers_.size() >= kMaxProviders) {
      return fail(catalogue_error("JOIN-984", "the console's answer cannot be read"));
    }
    providers_.push_back(std::move(provider));
  }
  if (providers_.empty()) {
    return fail(catalogue_error("JOIN-984", "the console knows neither the phone nor a provider"));
  }
  event(E::kUnknown);
}

void Provisioner::discover() {
  local_console_.clear();
  found_.clear();
  Way& local = way(M::kAutomaticLocal);
  local = {};
  if (!allowed(M::kAutomaticLocal)) {
    local.state = "not allowed";
    return event(E::kImpossible);
  }
  local.state = "trying";
  srv_pending_ = 0;
  std::string domain = parts_.settings->get_text(Key::kNetworkDnsDomainName);
  if (domain.empty()) domain = lease_.domain;
  if (domain.empty()) domain = SrvLookup::system_domain();
  if (!parts_.settings->get_bool(Key::kProvisioningDiscoveryDnsSrv)) {
    local.notes.emplace_back("DNS SRV is switched off");
  } else if (domain.empty()) {
    local.notes.emplace_back("no domain is known to look for in DNS");
  } else {
    srv_pending_ = 2;
    for (const bool console : {true, false}) {
      const std::string name = (console ? kConsoleService : kServerService) + domain;
      srv_.ask({name, lease_.dns},
               [this, console, round = round_, now = *round_](const auto& records) {
                 if (*round == now) srv_answered(console, records);
               });
    }
  }
  publish();
  if (srv_pending_ == 0) discovered();
}

void Provisioner::srv_answered(bool console, const Result<std::vector<SrvRecord>>& records) {
  Way& local = way(M::kAutomaticLocal);
  if (!records) {
    local.notes.push_back("DNS SRV: " + records.error().message);
  } else {
    const auto random = [this](std::uint32_t below) {
      return static_cast<std::uint32_t>(random_() % below);
    };
    for (const SrvRecord& record : in_srv_order(*records, random)) {
      const std::string address = address_of(record, console ? "/console" : "/provisioning");
      if (usable_server_address(address)) found_.push_back({address, "DNS SRV", console});
    }
  }
  if (--srv_pending_ == 0) discovered();
}

void Provisioner::discovered() {
  Way& local = way(M::kAutomaticLocal);
  if (parts_.settings->get_bool(Key::kProvisioningDiscoveryDhcp)) {
    const auto by_dhcp = servers_of(lease_, &local.notes);
    found_.insert(found_.end(), by_dhcp.begin(), by_dhcp.end());
  } else {
    local.notes.emplace_back("DHCP options are switched off");
  }
  if (found_.empty()) {
    local.state = "impossible";
    local.failure = Failure{Error{"the local network announces no server"}, {}};
    return event(E::kImpossible);
  }
  event(E::kFound);
}

}  // namespace conclave::control
