// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "control/conference/service_api.h"
#include "control/loop/loop.h"
#include "control/settings/registry.h"
#include "control/state/state_tree.h"

namespace conclave::control {

/// Activation with the conferencing service by a PIN, and its end (guide 2.12, 4). Keeps the
/// service's token and the state in the settings, tells the state tree (`activation`). Everything
/// on the control loop.
///
/// A phone that was never activated may still join: not every service asks for it. One that was
/// deactivated here may not, until it is activated again. A PIN that comes in a setting activates
/// by itself, and is tried again while only the network or the service is in the way.
class Activation {
 public:
  struct Parts {
    Loop* loop = nullptr;
    Registry* settings = nullptr;
    StateTree* state = nullptr;
    ServiceApi* service = nullptr;  ///< its own: nobody else calls cancel_all() on it
    std::string serial, model, version;
    std::function<void()> activated;    ///< calls may begin
    std::function<void()> deactivated;  ///< calls must end
  };
  explicit Activation(Parts parts);
  ~Activation();

  /// Tries the PIN of the settings, where the phone has not been activated yet.
  void start();
  /// Begins; the state tree tells how it ends. Errors: ACT-400 for no PIN, ACT-401 for one that
  /// cannot be right, one without id while another request runs.
  Status activate(const std::string& pin);
  /// Forgets the token at once, whether or not the service can be told.
  Status deactivate();
  /// JOIN-978 while deactivated.
  Status admits_calls() const;
  /// The service did not let the phone log in: it may be the end of the activation.
  void login_refused(const Error& error);
  /// Dvms.Activation.Pin has a new value.
  void pin_changed();
  nlohmann::json json() const;
  /// Tells a failure that is shown in the phone's new language.
  void language_changed();

 private:
  enum class Busy { kNo, kActivating, kDeactivating };
  void request(const std::string& pin, bool keep_trying);
  void failed(const ServiceFailure& failure, const std::string& pin, bool keep_trying);
  Status keep(std::string_view state, const std::string& token);
  std::string kept_state() const;
  void set_error(const Error& error, const std::optional<Error>& detail = std::nullopt);
  void publish();

  Parts parts_;
  Busy busy_ = Busy::kNo;
  struct Failure {
    Error error;
    std::optional<Error> detail;
  };
  std::optional<Failure> error_;
  std::int64_t since_ms_ = 0;
  std::string tried_pin_;  ///< of the settings: the same one is not tried twice
  int attempt_ = 0;
  TimerId timer_ = 0;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace conclave::control
