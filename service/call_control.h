// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "service/conference_book.h"
#include "service/fault_desk.h"
#include "service/https_server.h"
#include "service/meeting/meeting_control.h"
#include "service/meetings.h"
#include "service/phone_book.h"
#include "service/secrets.h"

namespace conclave::service {

struct CallControlConfig {
  std::string base_path = CONCLAVE_CALL_CONTROL_PATH;  ///< as the built-in provider profile has it
  int token_lifetime_s = 12 * 3600;
  int wrong_passcodes_of_phone = 5;     ///< within a minute, then 429
  int wrong_passcodes_of_address = 20;  ///< likewise: serial numbers are easily made up
  int logins_of_address = 1200;         ///< a minute: a whole site may be behind one address
  int wrong_pins_of_phone = 5;          ///< within a minute, then 429
  int wrong_pins_of_address = 20;
};

/// Call control: what each request means. No sockets, no threads: requests in, answers out, so that
/// tests need no network. Any thread.
class CallControl {
 public:
  /// With `store`, sessions outlive this process.
  CallControl(const CallControlConfig& config, const Clock& clock, const Meetings& meetings,
              ConferenceBook& book, PhoneBook& phones, FaultDesk& faults, Store* store = nullptr);

  /// Where the SIP focus is reached, for the answers to join requests: in the order in which phones
  /// are to try. Before the first request.
  struct SipAddress {
    std::string host{};
    int port = 0;
  };
  void set_sip(std::vector<SipAddress> addresses) { sip_ = std::move(addresses); }
  void set_sip(const std::string& host, int port) { set_sip({{host, port}}); }
  /// Makes the way through the tunnel for a participant; nobody: there is none. Before the first
  /// request.
  using TunnelDesk =
      std::function<std::optional<protocol::JoinResponse::Tunnel>(const std::string& participant)>;
  void set_tunnel(TunnelDesk desk) { tunnel_ = std::move(desk); }
  /// Who answers what else is asked within a conference; nobody: 404. Before the first request.
  void set_meeting(MeetingControl* meeting) { meeting_ = meeting; }
  HttpAnswer handle(const HttpRequest& request);
  /// The phone is not active any more: its tokens are worth nothing, its participants are gone.
  void shut_out(const std::string& serial);

  /// For the SIP focus: the participant whom the value of X-Conclave-Participant proves to be, or
  /// empty.
  std::optional<ConferenceBook::Participant> authenticate(std::string_view header) const;

 private:
  HttpAnswer login(const HttpRequest& request);
  HttpAnswer renew(const HttpRequest& request);
  HttpAnswer activate(const HttpRequest& request);
  HttpAnswer deactivate(const HttpRequest& request);
  HttpAnswer join(const HttpRequest& request, const Session& session);
  HttpAnswer roster(const HttpRequest& request, std::string_view conference);
  HttpAnswer mute(const HttpRequest& request, const Session& session, std::string_view conference,
                  std::string_view participant);
  HttpAnswer mute_all(const HttpRequest& request, const Session& session,
                      std::string_view conference);
  HttpAnswer leave(const Session& session, std::string_view conference,
                   std::string_view participant);
  /// The caller's own participant in that conference.
  std::optional<ConferenceBook::Participant> own(const Session& session,
                                                 std::string_view conference) const;

  const CallControlConfig config_;
  const Clock& clock_;
  const Meetings& meetings_;
  ConferenceBook& book_;
  PhoneBook& phones_;
  FaultDesk& faults_;
  TokenStore tokens_;
  FailureLimiter wrong_by_phone_;
  FailureLimiter wrong_by_address_;
  FailureLimiter logins_;
  FailureLimiter wrong_pins_of_phone_;
  FailureLimiter wrong_pins_of_address_;
  MeetingControl* meeting_ = nullptr;
  TunnelDesk tunnel_;
  std::vector<SipAddress> sip_;
};

}  // namespace conclave::service
