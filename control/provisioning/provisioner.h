// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "control/conference/rest_client.h"
#include "control/loop/loop.h"
#include "control/provisioning/ca_store.h"
#include "control/provisioning/config_applier.h"
#include "control/provisioning/config_fetcher.h"
#include "control/provisioning/lease_options.h"
#include "control/provisioning/setup_machine.h"
#include "control/provisioning/srv_lookup.h"
#include "control/settings/registry.h"
#include "control/state/state_tree.h"

namespace conclave::control {

/// Finds the provisioning server in the guide's order, gets the configuration from it, puts it in
/// force and tells the server what became of it; then looks for a new one from time to time, and at
/// once when somebody says so (docs/provisioning.md). Carries out what the machine says; the state
/// tree shows each step (`provisioning`). Everything on the control loop.
class Provisioner {
 public:
  struct Parts {
    Loop* loop = nullptr;
    Registry* settings = nullptr;
    StateTree* state = nullptr;
    RestClient* client = nullptr;  ///< configured by the owner; nobody else needs to share it
    CaStore* cas = nullptr;
    std::string serial, model, version, data_folder;
    /// Certificates that are trusted have changed: the owner configures its clients anew.
    std::function<void()> trust_changed{};
    std::chrono::milliseconds first_retry{10'000};
  };
  explicit Provisioner(Parts parts);
  ~Provisioner();

  void start();
  /// A person's answers. Errors say what is not possible right now.
  Status choose(const std::string& provider);  ///< id or name out of the list; empty: none of them
  Status confirm(bool accept, const std::string& server);  ///< server empty: the first
  /// Kept as a local setting; empty takes it away.
  Status set_address(const std::string& address);
  /// Looks for a new configuration now.
  Status resync(const std::string& reason);
  /// Forgets the server and begins at the beginning.
  Status anew();
  /// The network has a new lease.
  void set_lease(LeaseOptions lease);
  void settings_changed(std::span<const Key> keys);
  /// Tells a failure that is shown in the phone's new language.
  void language_changed() { publish(); }
  nlohmann::json json() const;
  SetupState state() const { return machine_.state(); }

 private:
  struct Failure {
    Error error;
    std::optional<Error> detail;
  };
  /// What is known of one of the three ways.
  struct Way {
    std::string state;  ///< "", trying, impossible, not allowed, declined, in use
    std::optional<Failure> failure;
    std::vector<std::string> notes;
  };
  struct Provider {
    std::string id, name;
  };

  void event(SetupEvent event);
  void act(SetupAction action);
  void arm(std::chrono::milliseconds delay, SetupEvent at_end);
  void publish();
  nlohmann::json failure_json(const Failure& failure) const;
  nlohmann::json question() const;

  bool allowed(SetupMethod method) const;
  Way& way(SetupMethod method) { return ways_[static_cast<std::size_t>(method)]; }
  void impossible(SetupMethod method, Failure failure, SetupEvent then);
  /// Of the local network, the one that is being tried leads nowhere.
  SetupEvent next_local(SetupEvent none_left);
  std::chrono::milliseconds timeout() const;

  // Plug-and-Play.
  void ask_console(const std::string& url, const nlohmann::json& body, int redirects);
  void console_answered(RestResponse response, const nlohmann::json& body, int redirects);
  void ask_provider();
  // Automatic Local.
  void discover();
  void srv_answered(bool console, const Result<std::vector<SrvRecord>>& records);
  void discovered();
  // The configuration.
  std::optional<std::string> typed_address() const;
  void use_server(const std::string& address, SetupMethod method);
  void fetch();
  void fetched(ConfigFetcher::Outcome outcome);
  ConfigReport apply(const FetchedConfiguration& fetched);
  void settle();
  void get_ca();
  void tell_server();
  void listen();
  void heard(const RestResponse& response);
  void stop_listening();
  std::string base() const { return server_ + "/" + parts_.serial; }
  template <typename F>
  std::uint64_t send(RestRequest&& request, const std::shared_ptr<int>& round, F on_loop);

  Parts parts_;
  SetupMachine machine_;
  ConfigFetcher fetcher_;
  SrvLookup srv_;
  LeaseOptions lease_;

  std::string server_;
  SetupMethod method_ = SetupMethod::kPlugAndPlay;
  bool established_ = false;
  std::string local_console_;  ///< confirmed in the local network; empty: the setting's
  std::vector<Provider> providers_;
  std::string chosen_;
  std::vector<LocalServer> found_;
  int srv_pending_ = 0;
  std::array<Way, kSetupMethodCount> ways_;

  std::optional<Failure> failure_;
  nlohmann::json report_;  ///< null: none yet
  std::string told_;       ///< what the server heard last
  std::string reason_;     ///< why the configuration is being fetched
  bool again_ = false;     ///< asked for once more while it was being fetched
  std::int64_t since_ms_ = 0, synced_ms_ = 0, next_ms_ = 0;
  int attempt_ = 0;
  TimerId timer_ = 0;
  std::shared_ptr<int> round_ = std::make_shared<int>(0);  ///< of setup requests
  std::uint64_t request_ = 0;

  std::shared_ptr<int> listening_ = std::make_shared<int>(0);
  std::uint64_t event_request_ = 0;
  TimerId event_timer_ = 0;
  std::optional<std::uint64_t> event_revision_;
  bool events_unsupported_ = false;
  int event_failures_ = 0;
  std::int64_t event_asked_ms_ = 0;
  std::shared_ptr<int> aside_ = std::make_shared<int>(0);  ///< CA and report
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace conclave::control
