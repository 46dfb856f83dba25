// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "service/admin/meeting_desk.h"
#include "service/fault_desk.h"
#include "service/https_server.h"
#include "service/phone_book.h"
#include "service/secrets.h"

namespace conclave::service {

/// The token that opens /admin: the content of `path` (0600), made when there is none.
Result<std::string> load_or_make_admin_token(const std::string& path);

/// The administrator's requests below /admin: phones, faults on order, and who answers for the
/// rest. Any thread.
class AdminDesk {
 public:
  static constexpr std::string_view kBasePath = "/admin";
  /// `state_changed` hears of each phone whose state the administrator has set.
  AdminDesk(const Clock& clock, std::string token, PhoneBook& phones, FaultDesk& faults,
            std::function<void(const std::string& serial, PhoneState state)> state_changed);
  HttpAnswer handle(const HttpRequest& request);
  /// Asked first, with the path below /admin, by one who has shown the token. Before the first
  /// request.
  using Extension =
      std::function<std::optional<HttpAnswer>(const HttpRequest&, std::string_view path)>;
  void extend(Extension extension) { extension_ = std::move(extension); }
  /// Who answers below /admin/meetings, and what /admin/health tells (a JSON object). Before the
  /// first request.
  void set_meetings(MeetingDesk* meetings) { meetings_ = meetings; }
  void set_health(std::function<std::string()> health) { health_ = std::move(health); }
  /// Where the phones' reports are. Before the first request.
  void set_store(Store* store) { store_ = store; }

 private:
  HttpAnswer faults(const HttpRequest& request, std::string_view rest);
  HttpAnswer phones(const HttpRequest& request, std::string_view rest);
  HttpAnswer list_phones();
  HttpAnswer put_phone(const HttpRequest& request, const std::string& serial);
  HttpAnswer forget_phone(const std::string& serial);

  const std::string token_;
  PhoneBook& phones_;
  FaultDesk& faults_;
  const std::function<void(const std::string&, PhoneState)> state_changed_;
  FailureLimiter wrong_tokens_;
  Extension extension_{};
  MeetingDesk* meetings_ = nullptr;
  std::function<std::string()> health_{};
  Store* store_ = nullptr;
};

class CallControl;
class Provisioning;
/// Who answers a request: the pages for browsers, provisioning, the administrator's desk, the fault
/// "redirect-loop", or call control.
HttpAnswer route(const HttpRequest& request, CallControl& control, AdminDesk& admin,
                 Provisioning* provisioning = nullptr);

}  // namespace conclave::service
