// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "control/access/accounts.h"
#include "control/activation/activation.h"
#include "control/conference/conference.h"
#include "control/loop/loop.h"
#include "control/phone/audio_control.h"
#include "control/provisioning/ca_store.h"
#include "control/provisioning/provisioner.h"
#include "control/rpc/dispatcher.h"
#include "control/settings/registry.h"
#include "control/state/state_tree.h"

namespace conclave::control {

struct PhoneConfig {
  std::string data_folder;
  std::string version = "0.1.0";
  std::string model = "Conclave";
  int sample_rate = 48000;
  AudioInventory inventory;
  /// The provider profile in force as to_json() makes it, for the state tree and provider.show.
  nlohmann::json provider = nlohmann::json::object();
  /// Look for a provisioning server and keep to what it says.
  bool provisioning = false;
  std::chrono::milliseconds provisioning_first_retry{10'000};
};

/// The control plane of one phone: settings, state, conference and the methods every door offers.
/// Doors (web, local socket) only carry texts to handle().
class Phone {
 public:
  /// `audio` and the rings may be null or unused where there is no sound card; they must outlive
  /// this. `settings` too. `make_service` may be empty: then REST over HTTPS.
  struct Parts {
    Registry* settings = nullptr;
    AudioPort* audio = nullptr;
    AudioFrameRing* uplink = nullptr;
    AudioFrameRing* downlink = nullptr;
    std::unique_ptr<ServiceApi> service;  ///< tests
    MediaCallFactory calls;               ///< tests
    /// Ends the program so that it starts anew (factory reset); empty: it cannot. Control loop.
    std::function<void()> restart{};
  };
  Phone(PhoneConfig config, Parts parts);
  ~Phone();

  StateTree& state() { return state_; }
  Loop& loop() { return loop_; }
  Sessions& sessions() { return sessions_; }
  Accounts& accounts() { return accounts_; }
  Registry& settings() { return *settings_; }
  AudioPort* audio() { return audio_port_; }

  /// Begins the timers and, where settings say so, joins by itself.
  void start();
  /// Leaves the conference, at most for `limit`; then nothing runs any more. Not from the loop.
  void stop(std::chrono::milliseconds limit = std::chrono::milliseconds(2000));

  /// Handles a JSON-RPC text on the control loop; `reply` is called there, with an empty text for
  /// none. Any thread.
  void handle(std::string text, RpcCaller caller, std::function<void(std::string)> reply);
  void set_meter_sink(AudioControl::MeterSink sink);

  /// Figures for /metrics in Prometheus' text format. Control loop.
  std::string prometheus() const;
  /// The phone's part of the report that `./run --report` makes. Control loop.
  nlohmann::json report() const;
  /// Methods with parameters and help.
  nlohmann::json methods() const { return dispatcher_.describe(); }
  /// Control loop.
  Conference& conference() { return *conference_; }
  /// What the DHCP server has told; whenever there is a new lease. Any thread.
  void set_lease(LeaseOptions lease);

 private:
  /// That of the messages, by the settings.
  Language language() const;
  void add_call_methods();
  void add_meeting_methods();
  void ask_meeting(const MeetingCommand& command, const Dispatcher::Done& done);
  void add_settings_methods();
  void add_activation_methods();
  void add_provisioning_methods();
  void add_other_methods();
  RpcResult import_file(const nlohmann::json& params, const RpcCaller& caller);
  void close_other_sessions(std::span<const Key> changed, const RpcCaller& caller);
  void settings_changed(std::span<const Key> keys);
  RestConfig make_rest_config();
  void configure_service();
  void make_conference();
  void auto_join();
  /// Ends the call, however long leaving takes, and makes the call component anew, so that nothing
  /// of a deactivated phone's sessions is left.
  void restart_calls();
  void tick();

  PhoneConfig config_;
  Registry* settings_;
  AudioPort* audio_port_;
  StateTree state_;
  Accounts accounts_;
  Sessions sessions_;
  Dispatcher dispatcher_;
  std::int64_t started_ns_ = SystemClock::now();
  Loop loop_{"control"};
  RestConfig rest_config_;  ///< as the settings have it
  std::unique_ptr<RestClient> rest_;
  std::unique_ptr<ServiceApi> service_;
  RestServiceApi* rest_service_ = nullptr;
  std::unique_ptr<RestServiceApi> activation_service_;  ///< its own: a join cancels what it asked
  std::unique_ptr<AudioControl> audio_;
  std::unique_ptr<Activation> activation_;
  CaStore cas_;
  std::unique_ptr<RestClient> provisioning_rest_;  ///< its own: a long answer holds up nobody
  std::unique_ptr<Provisioner> provisioner_;       ///< null: not wanted
  MediaCallFactory calls_;
  std::unique_ptr<Conference> conference_;
  std::function<void()> restart_;
  std::shared_ptr<void> observing_;  // the settings
  std::uint64_t ticks_ = 0;
  bool stopped_ = false;
};

/// Makes and keeps the serial number of a machine that has none of its own.
std::string ensure_serial_number(Registry& settings);

}  // namespace conclave::control
