// SPDX-License-Identifier: Apache-2.0
#include "control/provisioning/provisioner.h"

#include <algorithm>

#include "base/log.h"
#include "control/errors/catalogue.h"
#include "control/loop/wall_clock.h"
#include "control/settings/value.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;
using S = SetupState;
using E = SetupEvent;
using A = SetupAction;
using M = SetupMethod;

constexpr const char* kLog = "provisioning";
constexpr std::string_view kTrying = "trying";
constexpr std::string_view kImpossible = "impossible";
constexpr std::string_view kDeclined = "declined";
constexpr std::string_view kInUse = "in use";

constexpr std::array<const char*, kSetupMethodCount> kWayNames = {"plug_and_play",
                                                                  "automatic_local", "manual"};

}  // namespace

Provisioner::Provisioner(Parts parts)
    : parts_(std::move(parts)),
      fetcher_(*parts_.loop, *parts_.client),
      srv_(*parts_.loop),
      since_ms_(wall_ms()) {
  publish();
}

Provisioner::~Provisioner() {
  parts_.loop->cancel(timer_);
  stop_listening();
  ++*round_;
  ++*aside_;
}

bool Provisioner::allowed(SetupMethod method) const {
  const auto list = parts_.settings->get_list(Key::kProvisioningSetupMethods);
  return std::find(list.begin(), list.end(), name_of(method)) != list.end();
}

std::chrono::milliseconds Provisioner::timeout() const {
  return std::chrono::seconds(parts_.settings->get_int(Key::kConferenceRequestTimeout));
}

std::optional<std::string> Provisioner::typed_address() const {
  // The provider profile's address is where the console would send a phone, not what this phone
  // was told to use.
  const Layer layer = parts_.settings->layer_of(Key::kProvisioningServerAddress);
  if (layer <= Layer::kProvider) return std::nullopt;
  if (layer == Layer::kLocal && !allowed(M::kManual)) return std::nullopt;
  std::string address = parts_.settings->get_text(Key::kProvisioningServerAddress);
  while (!address.empty() && address.back() == '/') address.pop_back();
  if (!usable_server_address(address)) return std::nullopt;
  return address;
}

void Provisioner::start() {
  if (parts_.settings->get_list(Key::kProvisioningSetupMethods).empty()) {
    publish();
    return;
  }
  const std::string kept = parts_.settings->get_text(Key::kProvisioningSetupAddress);
  const std::string how = parts_.settings->get_text(Key::kProvisioningSetupMethod);
  for (const M method : {M::kPlugAndPlay, M::kAutomaticLocal, M::kManual}) {
    if (how == name_of(method)) method_ = method;
  }
  reason_ = "start";
  if (const auto typed = typed_address()) {
    if (*typed != kept) method_ = M::kManual;
    server_ = *typed;
    established_ = *typed == kept;
    return event(E::kAddress);
  }
  if (usable_server_address(kept)) {
    server_ = kept;
    established_ = true;
  }
  event(E::kBegin);
}

void Provisioner::event(SetupEvent what) {
  const auto taken = machine_.take(what, established_, method_);
  if (!taken.moved) return;
  // Whatever was under way belongs to the state before.
  parts_.loop->cancel(timer_);
  timer_ = 0;
  next_ms_ = 0;
  ++*round_;
  if (request_ != 0) parts_.client->cancel(request_);
  request_ = 0;
  fetcher_.cancel();
  since_ms_ = wall_ms();
  const S now = machine_.state();
  log::info(kLog, "step", {{"state", name_of(now)}});
  const SetupStateRow& row = row_of(now);
  if (row.limit.count() > 0) {
    timer_ = parts_.loop->after(row.limit, [this, now] {
      timer_ = 0;
      const SetupStateRow& late = row_of(now);
      failure_ = Failure{catalogue_error(late.error), {}};
      event(now == S::kFetching
                ? (method_ == M::kAutomaticLocal && !established_ ? next_local(late.at_limit)
                                                                  : late.at_limit)
                : late.at_limit);
    });
  }
  publish();
  act(taken.action);
}

void Provisioner::act(SetupAction action) {
  switch (action) {
    case A::kNone:
      return;
    case A::kAskConsole: {
      if (local_console_.empty()) {
        method_ = M::kPlugAndPlay;
        established_ = false;
        server_.clear();
        providers_.clear();
        found_.clear();
        ways_ = {};
        failure_.reset();
        stop_listening();
        if (!allowed(M::kPlugAndPlay)) {
          way(M::kPlugAndPlay).state = "not allowed";
          return event(E::kImpossible);
        }
        way(M::kPlugAndPlay).state = kTrying;
      }
      std::string console = local_console_.empty()
                                ? parts_.settings->get_text(Key::kProvisioningConsoleUrl)
                                : local_console_;
      while (!console.empty() && console.back() == '/') console.pop_back();
      if (!usable_server_address(console)) {
        return impossible(method_, {Error{"there is no address of a console"}, {}}, E::kImpossible);
      }
      // Without one the console would refuse; what is not asked for need not leave the house.
      if (device_certificate_file(*parts_.settings, parts_.data_folder).empty()) {
        return impossible(method_,
                          {catalogue_error("ACT-412", "the phone has no device certificate"), {}},
                          E::kImpossible);
      }
      return ask_console(console + "/redirect", Json(), 0);
    }
    case A::kAskProvider:
      return ask_provider();
    case A::kTellConsole: {
      std::string console = local_console_.empty()
                                ? parts_.settings->get_text(Key::kProvisioningConsoleUrl)
                                : local_console_;
      while (!console.empty() && console.back() == '/') console.pop_back();
      return ask_console(console + "/redirect", Json{{"provider", chosen_}}, 0);
    }
    case A::kDiscover:
      return discover();
    case A::kAskConfirm:
      return publish();
    case A::kAskAddress:
      way(M::kManual).state = allowed(M::kManual) ? std::string(kTrying) : "not allowed";
      local_console_.clear();
      // A cable, a server or a certificate may come later: the other ways are tried again.
      arm(setup_retry_delay(++attempt_, static_cast<double>(random_() % 1000) / 999.0,
                            parts_.first_retry),
          E::kDue);
      return publish();
    case A::kFetch:
      return fetch();
    case A::kSettle:
      return settle();
    case A::kWait:
      arm(setup_retry_delay(++attempt_, static_cast<double>(random_() % 1000) / 999.0,
                            parts_.first_retry),
          E::kDue);
      reason_ = "retry";
      return publish();
    case A::kHalt:
      stop_listening();
      return publish();
  }
}

void Provisioner::arm(std::chrono::milliseconds delay, SetupEvent at_end) {
  parts_.loop->cancel(timer_);
  next_ms_ = wall_ms() + delay.count();
  timer_ = parts_.loop->after(delay, [this, at_end] {
    timer_ = 0;
    event(at_end);
  });
}

void Provisioner::impossible(SetupMethod method, Failure failure, SetupEvent then) {
  log::info(kLog, failure.error.message, {{"way", name_of(method)}, {"id", failure.error.id}});
  Way& this_way = way(method);
  this_way.state = kImpossible;
  this_way.failure = failure;
  failure_ = std::move(failure);
  if (method == M::kAutomaticLocal) then = next_local(then);
  event(then);
}

SetupEvent Provisioner::next_local(SetupEvent none_left) {
  local_console_.clear();
  if (!found_.empty()) found_.erase(found_.begin());
  if (!found_.empty()) {
    way(M::kAutomaticLocal).state = kTrying;
    return E::kFound;
  }
  way(M::kAutomaticLocal).state = kImpossible;
  return none_left;
}

void Provisioner::ask_provider() {
  const std::string wanted = parts_.settings->get_text(Key::kProvisioningProvider);
  const auto at = std::find_if(providers_.begin(), providers_.end(), [&](const Provider& p) {
    return !wanted.empty() && (p.id == wanted || p.name == wanted);
  });
  if (at == providers_.end()) return publish();
  chosen_ = at->id;
  event(E::kChosen);
}

Status Provisioner::choose(const std::string& provider) {
  if (machine_.state() != S::kChoosing) return Error{"no list of providers is being shown"};
  if (provider.empty()) {
    way(method_).state = kDeclined;
    const bool local = method_ == M::kAutomaticLocal;
    event(local ? next_local(E::kDeclined) : E::kDeclined);
    return {};
  }
  const auto at = std::find_if(providers_.begin(), providers_.end(), [&](const Provider& p) {
    return p.id == provider || p.name == provider;
  });
  if (at == providers_.end()) return Error{"the list has no such provider"};
  chosen_ = at->id;
  event(E::kChosen);
  return {};
}

Status Provisioner::confirm(bool accept, const std::string& server) {
  if (machine_.state() != S::kConfirming) return Error{"nothing is waiting for a confirmation"};
  if (!accept) {
    way(M::kAutomaticLocal).state = kDeclined;
    event(E::kDeclined);
    return {};
  }
  const auto at = std::find_if(found_.begin(), found_.end(), [&](const LocalServer& s) {
    return server.empty() || s.address == server;
  });
  if (at == found_.end()) return Error{"no such server was found"};
  std::rotate(found_.begin(), at, at + 1);  // it is the one being tried
  established_ = false;
  method_ = M::kAutomaticLocal;
  attempt_ = 0;
  if (found_.front().console) {
    local_console_ = found_.front().address;
    event(E::kConsoleAccepted);
  } else {
    use_server(found_.front().address, M::kAutomaticLocal);
    event(E::kAccepted);
  }
  return {};
}

Status Provisioner::set_address(const std::string& address) {
  if (!address.empty()) {
    if (!allowed(M::kManual)) return Error{"Manual Setup is not allowed on this phone"};
    if (!usable_server_address(address)) {
      return Error{"the address must be like https://host/path, without user, query or blanks"};
    }
  }
  const auto outcome = parts_.settings->apply(
      Layer::kLocal, {{"Provisioning.Server.Address", address.empty() ? Json() : Json(address)}});
  if (!outcome.ok()) return Error{outcome.errors.begin()->second};
  // The same address once more is a wish to try it now; a new one comes by settings_changed().
  const Key key = Key::kProvisioningServerAddress;
  const bool told =
      std::find(outcome.changed.begin(), outcome.changed.end(), key) != outcome.changed.end();
  if (!told && !address.empty()) settings_changed(std::span(&key, 1));
  return {};
}

Status Provisioner::resync(const std::string& reason) {
  switch (machine_.state()) {
    case S::kOff:
      return Error{"provisioning is switched off: no way of setup is allowed"};
    case S::kFetching:
      again_ = true;
      return {};
    case S::kReady:
    case S::kWaiting:
    case S::kAddress:
      log::info(kLog, "a look at the configuration is wanted", {{"reason", reason}});
      reason_ = reason;
      event(E::kResync);
      return {};
    default:
      return Error{"the phone is being set up; there is no configuration yet"};
  }
}

Status Provisioner::anew() {
  if (machine_.state() == S::kOff) {
    return Error{"provisioning is switched off: no way of setup is allowed"};
  }
  CONCLAVE_CHECK_STATUS(parts_.settings->set_state(Key::kProvisioningSetupAddress, std::string()));
  local_console_.clear();
  attempt_ = 0;
  reason_ = "set up anew";
  event(E::kAnew);
  return {};
}

void Provisioner::set_lease(LeaseOptions lease) {
  lease_ = std::move(lease);
  // What the network announces now may be what nobody had to type.
  if (machine_.state() == S::kAddress) event(E::kResync);
}

void Provisioner::settings_changed(std::span<const Key> keys) {
  for (const Key key : keys) {
    switch (key) {
      case Key::kProvisioningServerAddress: {
        const auto typed = typed_address();
        if (!typed || parts_.settings->get_list(Key::kProvisioningSetupMethods).empty()) break;
        if (*typed == server_ && machine_.state() == S::kReady) break;
        const bool local = parts_.settings->layer_of(key) == Layer::kLocal;
        use_server(*typed, local || server_.empty() ? M::kManual : method_);
        // Only a person's word; a server that a configuration names has to prove itself as well,
        // but losing it must not lead back to the beginning.
        established_ = !local;
        attempt_ = 0;
        reason_ = "new address";
        event(E::kAddress);
        break;
      }
      case Key::kProvisioningSetupMethods:
        if (parts_.settings->get_list(key).empty()) {
          event(E::kStop);
        } else if (machine_.state() == S::kOff) {
          start();
        }
        break;
      case Key::kProvisioningProvider:
        if (machine_.state() == S::kChoosing) ask_provider();
        break;
      case Key::kProvisioningConsoleUrl:
      case Key::kProvisioningDiscoveryDnsSrv:
      case Key::kProvisioningDiscoveryDhcp:
      case Key::kSecurityCertificatesDevice:
      case Key::kSecurityCertificatesServiceCa:
        if (machine_.state() == S::kAddress) event(E::kResync);
        break;
      case Key::kProvisioningSyncInterval:
      case Key::kProvisioningSyncJitter:
      case Key::kProvisioningSyncEvents:
        if (machine_.state() == S::kReady) settle();
        break;
      default:
        break;
    }
  }
}

Json Provisioner::failure_json(const Failure& failure) const {
  const Language language = parse_language(parts_.settings->get_text(Key::kDeviceLanguage));
  Json out = error_json(failure.error, language);
  if (failure.detail) out["detail"] = error_json(*failure.detail, language);
  return out;
}

Json Provisioner::question() const {
  switch (machine_.state()) {
    case S::kChoosing: {
      Json list = Json::object();
      for (const auto& p : providers_) list[p.id] = {{"name", p.name}};
      return {{"kind", "provider"}, {"providers", std::move(list)}};
    }
    case S::kConfirming: {
      Json list = Json::object();
      for (std::size_t i = 0; i < found_.size(); ++i) {
        list[std::to_string(i + 1)] = {{"address", found_[i].address},
                                       {"found_by", found_[i].found_by},
                                       {"console", found_[i].console}};
      }
      return {{"kind", "confirm"}, {"servers", std::move(list)}};
    }
    case S::kAddress:
      if (allowed(M::kManual)) return {{"kind", "address"}};
      break;
    default:
      break;
  }
  return nullptr;
}

Json Provisioner::json() const {
  const S now = machine_.state();
  Json out{{"state", name_of(now)}, {"since_ms", since_ms_}};
  if (!row_of(now).step.empty()) out["step"] = row_of(now).step;
  if (!server_.empty()) {
    out["server"] = server_;
    out["method"] = name_of(method_);
  }
  Json ways = Json::object();
  for (const M method : {M::kPlugAndPlay, M::kAutomaticLocal, M::kManual}) {
    const Way& one = ways_[static_cast<std::size_t>(method)];
    Json item{{"state", !allowed(method)    ? "not allowed"
                        : one.state.empty() ? "not tried"
                                            : one.state}};
    if (one.failure) item["error"] = failure_json(*one.failure);
    if (!one.notes.empty()) item["notes"] = one.notes;
    ways[kWayNames[static_cast<std::size_t>(method)]] = std::move(item);
  }
  out["ways"] = std::move(ways);
  if (Json asked = question(); !asked.is_null()) out["question"] = std::move(asked);
  if (failure_ && now != S::kReady) out["error"] = failure_json(*failure_);
  if (!report_.is_null()) out["last_report"] = report_;
  if (synced_ms_ != 0) out["synced_ms"] = synced_ms_;
  if (next_ms_ != 0) out["next_ms"] = next_ms_;
  if (attempt_ > 0) out["attempt"] = attempt_;
  return out;
}

void Provisioner::publish() {
  if (machine_.state() == S::kReady) way(method_).state = kInUse;
  parts_.state->replace("provisioning", json());
}

}  // namespace conclave::control
