// SPDX-License-Identifier: Apache-2.0
#include "control/phone/phone.h"

#include <algorithm>
#include <chrono>
#include <future>

#include "base/log.h"
#include "control/access/password.h"
#include "control/errors/catalogue.h"
#include "control/loop/wall_clock.h"
#include "control/provider/words.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;

log::Level level_of(const std::string& name) {
  if (name == "debug") return log::Level::kDebug;
  if (name == "warning") return log::Level::kWarning;
  if (name == "error") return log::Level::kError;
  return log::Level::kInfo;
}

}  // namespace

std::string ensure_serial_number(Registry& settings) {
  std::string serial = settings.get_text(Key::kDeviceSerialNumber);
  if (!serial.empty()) return serial;
  const std::string token = random_token(12);
  serial = "CV";
  for (const char c : token) {
    serial += "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[static_cast<unsigned char>(c) % 32];
  }
  if (const Status kept = settings.set_state(Key::kDeviceSerialNumber, serial); !kept) {
    log::warning("phone", "the serial number could not be kept", {{"why", kept.error().message}});
  }
  return serial;
}

Phone::Phone(PhoneConfig config, Parts parts)
    : config_(std::move(config)),
      settings_(parts.settings),
      audio_port_(parts.audio),
      accounts_(*parts.settings),
      service_(std::move(parts.service)),
      cas_(config_.data_folder) {
  // A phone that has no number yet is the one that its certificate names.
  if (settings_->get_text(Key::kDeviceSerialNumber).empty()) {
    const std::string file = device_certificate_file(*settings_, config_.data_folder);
    if (const std::string named = serial_of_certificate(file); !file.empty() && !named.empty()) {
      if (const Status kept = settings_->set_state(Key::kDeviceSerialNumber, named); !kept) {
        log::warning("phone", kept.error().message);
      }
    }
  }
  // The catalogues' texts are the process's; so is the provider that they speak of.
  if (!config_.provider.empty()) set_provider_words(config_.provider);
  const std::string serial = ensure_serial_number(*settings_);
  state_.publish({{"device",
                   {{"name", settings_->get_text(Key::kDeviceName)},
                    {"model", config_.model},
                    {"version", config_.version},
                    {"serial", serial},
                    {"language", tag_of(language())},
                    {"operation_mode", settings_->get_text(Key::kFeaturesOperationMode)},
                    {"started_ms", wall_ms()}}},
                  {"provider", config_.provider},
                  {"roster", Json::object()},
                  {"web", {{"sessions", 0}}},
                  {"service", {{"address", settings_->get_text(Key::kDvmsServerAddress)}}}});
  if (!service_) {
    rest_ = std::make_unique<RestClient>();
    auto rest_service = std::make_unique<RestServiceApi>(loop_, *rest_);
    rest_service_ = rest_service.get();
    service_ = std::move(rest_service);
    activation_service_ = std::make_unique<RestServiceApi>(loop_, *rest_);
  }
  audio_ = std::make_unique<AudioControl>(*settings_, state_, audio_port_, config_.inventory);
  calls_ = parts.calls ? parts.calls : sip_calls(loop_, *parts.uplink, *parts.downlink);
  restart_ = std::move(parts.restart);
  Activation::Parts activation;
  activation.loop = &loop_;
  activation.settings = settings_;
  activation.state = &state_;
  activation.service = activation_service_ ? activation_service_.get() : service_.get();
  activation.serial = serial;
  activation.model = config_.model;
  activation.version = config_.version;
  activation.activated = [this] { auto_join(); };
  activation.deactivated = [this] { restart_calls(); };
  activation_ = std::make_unique<Activation>(std::move(activation));
  if (config_.provisioning) {
    provisioning_rest_ = std::make_unique<RestClient>();
    Provisioner::Parts provisioning;
    provisioning.loop = &loop_;
    provisioning.settings = settings_;
    provisioning.state = &state_;
    provisioning.client = provisioning_rest_.get();
    provisioning.cas = &cas_;
    provisioning.serial = serial;
    provisioning.model = config_.model;
    provisioning.version = config_.version;
    provisioning.data_folder = config_.data_folder;
    provisioning.trust_changed = [this] { configure_service(); };
    provisioning.first_retry = config_.provisioning_first_retry;
    provisioner_ = std::make_unique<Provisioner>(std::move(provisioning));
  }
  make_conference();
  configure_service();
  sessions_.set_idle_timeout(std::chrono::seconds(settings_->get_int(Key::kWebSessionIdleTimeout)));
  log::set_level(level_of(settings_->get_text(Key::kLogLevel)));
  add_call_methods();
  add_meeting_methods();
  add_settings_methods();
  add_activation_methods();
  if (provisioner_) add_provisioning_methods();
  add_other_methods();
  observing_ = settings_->observe([this](std::span<const Key> keys) {
    loop_.post([this, changed = std::vector<Key>(keys.begin(), keys.end())] {
      settings_changed(changed);
    });
  });
}

Language Phone::language() const {
  return parse_language(settings_->get_text(Key::kDeviceLanguage));
}

Phone::~Phone() {
  observing_.reset();
  stop(std::chrono::milliseconds(0));
}

void Phone::start() {
  loop_.every(std::chrono::milliseconds(50), [this] { tick(); });
  loop_.post([this] {
    activation_->start();
    auto_join();
    if (provisioner_) provisioner_->start();
  });
}

void Phone::auto_join() {
  if (!settings_->get_bool(Key::kConferenceAutoJoinEnabled)) return;
  const CallState now = conference_->state();
  if (now != CallState::kIdle && now != CallState::kFailed) return;
  const Status begun =
      conference_->join_and_stay(settings_->get_text(Key::kConferenceAutoJoinPasscode),
                                 settings_->get_text(Key::kConferenceAutoJoinEmail));
  if (!begun) log::error("phone", begun.error().message, {{"id", begun.error().id}});
}

void Phone::make_conference() {
  Conference::Parts conference;
  conference.loop = &loop_;
  conference.settings = settings_;
  conference.state = &state_;
  conference.service = service_.get();
  conference.calls = calls_;
  conference.sip_folder = config_.data_folder + "/sip";
  conference.serial = settings_->get_text(Key::kDeviceSerialNumber);
  conference.model = config_.model;
  conference.version = config_.version;
  conference.sample_rate = config_.sample_rate;
  conference.mute_engine = [this](bool muted) { audio_->set_muted(muted); };
  conference.proxy = [this] { return rest_config_; };
  conference.admitted = [this] { return activation_->admits_calls(); };
  conference.check_sync = [this] {
    if (provisioner_) (void)provisioner_->resync("SIP NOTIFY check-sync");
  };
  conference.login_refused = [this](const Error& error) { activation_->login_refused(error); };
  conference_ = std::make_unique<Conference>(std::move(conference));
}

void Phone::restart_calls() {
  conference_->leave();
  const CallState now = conference_->state();
  if (now != CallState::kIdle && now != CallState::kFailed) {
    // Leaving has a deadline of its own, so this comes to an end.
    loop_.after(std::chrono::milliseconds(20), [this] { restart_calls(); });
    return;
  }
  const bool muted = conference_->muted();
  conference_.reset();
  make_conference();
  conference_->set_muted(muted);
  log::info("phone", "the call component has started anew");
}

void Phone::stop(std::chrono::milliseconds limit) {
  if (stopped_) return;
  stopped_ = true;
  const auto until = std::chrono::steady_clock::now() + limit;
  loop_.post([this] { conference_->leave(); });
  // Leaving tells the service; its answer is worth a moment, not a hang.
  while (std::chrono::steady_clock::now() < until) {
    CallState now{};
    loop_.run([&] { now = conference_->state(); });
    if (now == CallState::kIdle || now == CallState::kFailed) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  loop_.stop();
}

void Phone::tick() {
  audio_->set_call_active(conference_->state() == CallState::kActive);
  audio_->tick();
  if (++ticks_ % 10 == 0) {
    conference_->tick();
    state_.publish({{"web", {{"sessions", sessions_.count()}}}});
  }
}

void Phone::settings_changed(std::span<const Key> keys) {
  audio_->changed(keys);
  const auto any = [keys](auto&& wanted) { return std::any_of(keys.begin(), keys.end(), wanted); };
  if (any([](Key key) {
        const auto owner = row_of(key).owner;
        return owner == "conference" || owner == "proxy" || owner == "certificates";
      })) {
    configure_service();
  }
  if (provisioner_) provisioner_->settings_changed(keys);
  for (const Key key : keys) {
    switch (key) {
      case Key::kDvmsActivationPin:
        activation_->pin_changed();
        break;
      case Key::kDeviceName:
        state_.publish({{"device", {{"name", settings_->get_text(key)}}}});
        break;
      case Key::kDeviceLanguage:
        state_.publish({{"device", {{"language", tag_of(language())}}}});
        activation_->language_changed();
        conference_->language_changed();
        if (provisioner_) provisioner_->language_changed();
        break;
      case Key::kFeaturesOperationMode:
        state_.publish({{"device", {{"operation_mode", settings_->get_text(key)}}}});
        break;
      case Key::kWebSessionIdleTimeout:
        sessions_.set_idle_timeout(std::chrono::seconds(settings_->get_int(key)));
        break;
      case Key::kLogLevel:
        log::set_level(level_of(settings_->get_text(key)));
        break;
      default:
        break;
    }
  }
}

RestConfig Phone::make_rest_config() {
  RestConfig rest;
  const CaStore::Trust trust = cas_.trust(*settings_);
  rest.ca_file = trust.file;
  rest.system_cas = trust.system;
  rest.cert_file = device_certificate_file(*settings_, config_.data_folder);
  rest.user_agent = "Conclave/" + config_.version;
  if (const std::string host = settings_->get_text(Key::kDvmsProxyAddress); !host.empty()) {
    const bool v6 = host.find(':') != std::string::npos;
    rest.proxy = "http://" + (v6 ? "[" + host + "]" : host) + ":" +
                 std::to_string(settings_->get_int(Key::kDvmsProxyPort));
    rest.proxy_user = settings_->get_text(Key::kDvmsProxyUser);
    rest.proxy_password = settings_->get_text(Key::kDvmsProxyPassword);
  }
  return rest;
}

void Phone::configure_service() {
  state_.publish({{"service", {{"address", settings_->get_text(Key::kDvmsServerAddress)}}}});
  if (rest_service_ == nullptr && !provisioner_) return;
  rest_config_ = make_rest_config();
  if (provisioning_rest_) provisioning_rest_->configure(rest_config_);
  if (rest_service_ == nullptr) return;
  rest_->configure(rest_config_);
  std::vector<std::string> servers{settings_->get_text(Key::kDvmsServerAddress)};
  for (const std::string& other : settings_->get_list(Key::kDvmsServerAlternatives)) {
    // The same rule as the first's: no other scheme ever carries a passcode.
    if (other.rfind("https://", 0) == 0) servers.push_back(other);
  }
  for (RestServiceApi* api : {rest_service_, activation_service_.get()}) {
    api->set_base(servers,
                  std::chrono::seconds(settings_->get_int(Key::kConferenceRequestTimeout)));
  }
}

void Phone::handle(std::string text, RpcCaller caller, std::function<void(std::string)> reply) {
  loop_.post([this, text = std::move(text), caller = std::move(caller), reply = std::move(reply)] {
    dispatcher_.handle(std::string_view(text), caller, [reply](const Json& answer) {
      reply(answer.is_null() ? std::string() : dump_json(answer));
    });
  });
}

void Phone::set_meter_sink(AudioControl::MeterSink sink) {
  loop_.post([this, sink = std::move(sink)]() mutable { audio_->set_meter_sink(std::move(sink)); });
}

}  // namespace conclave::control
