// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

namespace conclave::control {

enum class CallState : std::uint8_t {
  kIdle,
  kServiceLogin,
  kJoining,
  kConnecting,
  kActive,
  kLeaving,
  kFailed,
  kRetrying,
};
inline constexpr int kCallStateCount = 8;
std::string_view name_of(CallState state);

enum class CallEvent : std::uint8_t {
  kJoin,           ///< somebody wants to join
  kLeave,          ///< somebody wants to leave
  kLoggedIn,       ///< the service gave a token
  kJoined,         ///< the service took passcode (and e-mail)
  kTokenRejected,  ///< the service does not know the token any more
  kRefused,        ///< an answer that trying again would not change
  kFailure,        ///< network, TLS, service or SIP trouble
  kAnswered,       ///< SIP answered and media started
  kPeerEnded,      ///< the service hung up
  kMediaLost,      ///< SIP or sound is gone
  kEnded,          ///< the conference is over, or leaving is done
  kDeadline,       ///< the state took too long
  kRetryDue,       ///< the wait between attempts is over
  kNextWay,        ///< this server (or way) does not answer, and there is another one
};

enum class CallAction : std::uint8_t {
  kNone,
  kLogin,
  kRequestJoin,
  kInvite,
  kEnterCall,
  kHangUp,  ///< end SIP and tell the service
  kProbe,   ///< ask the service whether the conference still has us
  kReset,   ///< back to nothing
  kFail,    ///< show the error and stop
  kWait,    ///< show the error and try again after a while
};

/// One edge. `persistent` ones count only while the call is to be kept (joined by itself, or once
/// active); the first row that fits wins.
struct CallEdge {
  CallState from;
  CallEvent event;
  bool persistent;
  CallState to;
  CallAction action;
};

/// What a state shows and how long it may last. `limit` zero: as long as it likes.
struct CallStateRow {
  CallState state;
  std::string_view step;
  std::chrono::seconds limit;
  std::string_view deadline_error;  ///< catalogue id
};

std::span<const CallEdge> call_edges();
const CallStateRow& row_of(CallState state);

/// The join as a table-driven machine: no clock, no network, no thread of its own.
class CallMachine {
 public:
  CallState state() const { return state_; }
  /// Takes an event. An event that has no edge in this state changes nothing and gives kNone.
  struct Taken {
    bool moved = false;
    CallAction action = CallAction::kNone;
  };
  Taken take(CallEvent event, bool persistent);

 private:
  CallState state_ = CallState::kIdle;
};

/// Wait before attempt n (1, 2, ...): 1 s doubling to 30 s, spread by +-20 % so that many phones do
/// not knock at once. `spread` is 0..1.
std::chrono::milliseconds retry_delay(int attempt, double spread);

}  // namespace conclave::control
