// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "base/clock.h"
#include "control/calls/media_call.h"
#include "control/conference/machine.h"
#include "control/conference/meeting.h"
#include "control/conference/service_api.h"
#include "control/loop/loop.h"
#include "control/settings/registry.h"
#include "control/state/state_tree.h"

namespace conclave::control {

/// Joining, staying in and leaving a conference: carries out what the machine says and tells the
/// state tree. Everything on the control loop.
class Conference {
 public:
  struct Parts {
    Loop* loop = nullptr;
    Registry* settings = nullptr;
    StateTree* state = nullptr;
    ServiceApi* service = nullptr;
    MediaCallFactory calls;
    std::string sip_folder;  ///< for the SIP library's files
    std::string serial, model, version;
    int sample_rate = 48000;
    std::function<void(bool muted)> mute_engine;      ///< takes effect within one frame
    std::function<RestConfig()> proxy;                ///< may be empty: how the proxy is reached
    std::function<Status()> admitted;                 ///< may be empty: whether calls are allowed
    std::function<void(const Error&)> login_refused;  ///< may be empty
    std::function<void()> check_sync{};  ///< may be empty: SIP NOTIFY "Event: check-sync" came
  };
  explicit Conference(Parts parts);
  ~Conference();

  /// Checks the form of both and begins. Errors: IN-PASSCODE, IN-EMAIL; a call that is there.
  Status join(const std::string& passcode, const std::string& email);
  /// The same, and stays in for ever: also when the service is not there yet (auto-join).
  Status join_and_stay(const std::string& passcode, const std::string& email);
  void leave();
  /// Microphones at once, the service's roster after.
  void set_muted(bool muted);
  bool muted() const { return muted_; }
  /// Asks something of the conference. `done` is called once, on the loop; without a conference at
  /// once, with CC-404. What was refused is shown in the state as well. Muting the own line is
  /// set_muted().
  void command(const MeetingCommand& command, MeetingDesk::Outcome done);
  CallState state() const { return machine_.state(); }
  media::CallStats stats() const { return call_ ? call_->stats() : last_stats_; }
  /// Twice a second: quality, and whether sound still comes.
  void tick();
  /// Tells a failure that is shown in the phone's new language.
  void language_changed();
  double seconds_to_join() const { return seconds_to_join_; }
  double seconds_active() const;
  int rejoins() const { return rejoins_; }

 private:
  Status begin(const std::string& passcode, const std::string& email, bool stay);
  void event(CallEvent event);
  void act(CallAction action);
  void failed(const ServiceFailure& failure);
  void set_error(const Error& error, const std::optional<Error>& detail);
  void login();
  void request_join();
  void invite();
  void enter_call();
  void hang_up();
  void probe();
  void reset();
  void wait_and_retry();
  void forget_participant();
  void drop_call();
  /// Another server, or the tunnel, when this one does not answer. False: there is none.
  bool next_server();
  bool next_way();
  bool may_tunnel() const;
  TunnelWay tunnel_way(const std::string& ca_file) const;
  void arm_way(std::chrono::milliseconds limit, bool (Conference::*next)());
  void renew_later(int expires_in_s);
  void renew();
  void poll_roster();
  void take_roster(const service::protocol::Roster& roster);
  void tell_service_muted();
  void end_requests();
  void publish();
  void reachable(bool yes);
  bool persistent() const;
  static nlohmann::json quality_of(const media::CallStats& stats);

  Parts parts_;
  CallMachine machine_;
  std::unique_ptr<MediaCall> call_;
  media::CallStats last_stats_;
  MediaCallInfo info_;

  std::string passcode_, email_;
  bool stay_ = false, was_active_ = false;
  bool muted_ = false, muted_by_request_ = false;
  bool mute_asking_ = false;   // one at a time: two could overtake each other on the way
  bool mute_refused_ = false;  // then the service's word stands until somebody here wishes again
  std::string token_;
  bool token_retried_ = false;  // a second rejection in a row is an answer
  std::optional<service::protocol::JoinResponse> joined_;
  std::size_t server_ = 0, servers_tried_ = 0;  // of call control
  std::size_t way_ = 0;                         // of the SIP servers that joined_ names
  bool tunnel_needed_ = false;                  // the direct way has turned out to be closed
  std::optional<Route> route_;
  std::uint64_t call_number_ = 0;  // events of calls that were given up count no more
  std::int64_t token_until_ns_ = 0;
  std::optional<std::uint64_t> roster_revision_;
  bool roster_running_ = false;
  MeetingDesk desk_;

  struct Failure {
    Error error;
    std::optional<Error> detail;
  };
  nlohmann::json error_json_now() const;

  std::optional<Failure> error_;
  nlohmann::json quality_;
  int attempt_ = 0;
  TimerId timer_ = 0, roster_timer_ = 0, way_timer_ = 0, renew_timer_ = 0;
  std::int64_t since_ms_ = 0;
  std::int64_t begun_ns_ = 0, active_ns_ = 0;
  double seconds_to_join_ = 0, seconds_active_ = 0;
  int rejoins_ = 0;
  std::uint64_t rx_packets_ = 0;
  std::int64_t rx_changed_ns_ = 0;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace conclave::control
