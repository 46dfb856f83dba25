// SPDX-License-Identifier: Apache-2.0
#include "control/activation/activation.h"

#include <chrono>

#include "base/log.h"
#include "control/conference/machine.h"
#include "control/errors/catalogue.h"
#include "control/loop/wall_clock.h"

namespace conclave::control {
namespace {

namespace protocol = service::protocol;
using Json = nlohmann::json;

// As in the row Dvms.Activation.State.
constexpr std::string_view kNotActivated = "not activated";
constexpr std::string_view kActivated = "activated";
constexpr std::string_view kDeactivated = "deactivated";
constexpr std::string_view kDisabled = "disabled by provider";

}  // namespace

Activation::Activation(Parts parts) : parts_(std::move(parts)), since_ms_(wall_ms()) {
  // The power went between the two halves of a deactivation.
  if (kept_state() == kDeactivated && !parts_.settings->get_text(Key::kDvmsAuthToken).empty()) {
    if (const Status kept = keep(kDeactivated, ""); !kept) {
      log::warning("activation", kept.error().message);
    }
  }
  publish();
}

Activation::~Activation() {
  parts_.loop->cancel(timer_);
  parts_.service->cancel_all();
}

std::string Activation::kept_state() const {
  return parts_.settings->get_text(Key::kDvmsActivationState);
}

Json Activation::json() const {
  Json out{{"state", busy_ == Busy::kActivating     ? "activating"
                     : busy_ == Busy::kDeactivating ? "deactivating"
                                                    : kept_state()},
           {"since_ms", since_ms_}};
  if (error_) {
    const Language language = parse_language(parts_.settings->get_text(Key::kDeviceLanguage));
    out["error"] = error_json(error_->error, language);
    if (error_->detail) out["error"]["detail"] = error_json(*error_->detail, language);
  }
  if (timer_ != 0) out["attempt"] = attempt_;
  return out;
}

void Activation::language_changed() {
  if (error_) publish();
}

void Activation::publish() { parts_.state->replace("activation", json()); }

void Activation::set_error(const Error& error, const std::optional<Error>& detail) {
  error_ = Failure{error, detail};
  log::warning("activation", error.message, {{"id", error.id}});
}

Status Activation::keep(std::string_view state, const std::string& token) {
  // Whichever comes first, a power cut in between must not leave a deactivated phone that still
  // counts as activated, or an activated one without token.
  const auto keep_token = [&] {
    return parts_.settings->set_state(Key::kDvmsAuthToken, Value(token));
  };
  if (!token.empty()) CONCLAVE_CHECK_STATUS(keep_token());
  CONCLAVE_CHECK_STATUS(
      parts_.settings->set_state(Key::kDvmsActivationState, Value(std::string(state))));
  return keep_token();
}

void Activation::start() {
  if (kept_state() != kNotActivated)
    tried_pin_ = parts_.settings->get_text(Key::kDvmsActivationPin);
  pin_changed();
}

void Activation::pin_changed() {
  const std::string pin = parts_.settings->get_text(Key::kDvmsActivationPin);
  if (busy_ != Busy::kNo) return;  // comes back here when it is done
  if (pin == tried_pin_) return;
  tried_pin_ = pin;
  if (pin.empty()) return;
  attempt_ = 0;
  if (!protocol::valid_pin(pin)) {
    set_error(catalogue_error("ACT-401"));
    return publish();
  }
  request(pin, true);
}

Status Activation::activate(const std::string& pin) {
  if (busy_ != Busy::kNo)
    return Error{"an activation or deactivation is running; wait for its end"};
  if (pin.empty() || !protocol::valid_pin(pin)) {
    const Error error = catalogue_error(pin.empty() ? "ACT-400" : "ACT-401");
    set_error(error);
    publish();
    return error;
  }
  request(pin, false);
  return {};
}

void Activation::request(const std::string& pin, bool keep_trying) {
  parts_.loop->cancel(timer_);
  timer_ = 0;
  busy_ = Busy::kActivating;
  since_ms_ = wall_ms();
  error_.reset();
  publish();
  protocol::ActivationRequest request;
  request.serial = parts_.serial;
  request.pin = pin;
  request.model = parts_.model;
  request.version = parts_.version;
  parts_.service->activate(
      request, [this, pin, keep_trying](const ServiceResult<protocol::ActivationResponse>& result) {
        busy_ = Busy::kNo;
        since_ms_ = wall_ms();
        if (const auto* failure = std::get_if<ServiceFailure>(&result)) {
          return failed(*failure, pin, keep_trying);
        }
        const auto& token = std::get<protocol::ActivationResponse>(result).token;
        if (const Status kept = keep(kActivated, token); !kept) {
          set_error(catalogue_error("ACT-500", kept.error().message));
          return publish();
        }
        log::info("activation", "activated");
        publish();
        if (parts_.activated) parts_.activated();
        pin_changed();
      });
}

void Activation::failed(const ServiceFailure& failure, const std::string& pin, bool keep_trying) {
  set_error(failure.error, failure.detail);
  // The provider's word counts for a phone that had been activated before, too.
  if (failure.error.id == "ACT-423" || failure.error.id == "ACT-DISABLED") {
    if (const Status kept = keep(kDisabled, ""); !kept) {
      log::warning("activation", kept.error().message);
    }
  }
  if (keep_trying && failure.retryable) {
    const double spread = static_cast<double>(random_() % 1000) / 999.0;
    timer_ = parts_.loop->after(retry_delay(++attempt_, spread), [this, pin] {
      timer_ = 0;
      if (busy_ == Busy::kNo) request(pin, true);
    });
  }
  publish();
  pin_changed();
}

Status Activation::deactivate() {
  if (busy_ != Busy::kNo)
    return Error{"an activation or deactivation is running; wait for its end"};
  parts_.loop->cancel(timer_);
  timer_ = 0;
  const std::string token = parts_.settings->get_text(Key::kDvmsAuthToken);
  CONCLAVE_CHECK_STATUS(keep(kDeactivated, ""));
  log::info("activation", "deactivated");
  error_.reset();
  since_ms_ = wall_ms();
  if (!token.empty()) {
    busy_ = Busy::kDeactivating;
    parts_.service->deactivate(token, [this](const ServiceResult<bool>& result) {
      busy_ = Busy::kNo;
      if (const auto* failure = std::get_if<ServiceFailure>(&result)) {
        // Not known there any more is as good as done.
        if (!failure->token_rejected) set_error(failure->error, failure->detail);
      }
      publish();
      pin_changed();
    });
  }
  publish();
  if (parts_.deactivated) parts_.deactivated();
  return {};
}

Status Activation::admits_calls() const {
  if (kept_state() == kDeactivated) return catalogue_error("JOIN-978");
  return {};
}

void Activation::login_refused(const Error& error) {
  if (busy_ != Busy::kNo) return;
  const std::string state = kept_state();
  const bool disabled = error.id == "ACT-DISABLED";
  const bool inactive = error.id == "JOIN-977" || error.id == "JOIN-978";
  if (!disabled && !inactive) return;
  const std::string_view now = disabled                ? kDisabled
                               : state == kDeactivated ? kDeactivated
                                                       : kNotActivated;
  if (const Status kept = keep(now, ""); !kept) log::warning("activation", kept.error().message);
  if (state != now) since_ms_ = wall_ms();
  set_error(error);
  publish();
}

}  // namespace conclave::control
