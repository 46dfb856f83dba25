// SPDX-License-Identifier: Apache-2.0
#include "control/conference/machine.h"

#include <algorithm>

namespace conclave::control {
namespace {

using S = CallState;
using E = CallEvent;
using A = CallAction;
using std::chrono::seconds;

constexpr CallStateRow kStates[kCallStateCount] = {
    {S::kIdle, "", seconds{0}, ""},
    {S::kServiceLogin, "Logging in to the conferencing service", seconds{25}, "NET-954"},
    {S::kJoining, "Asking for the conference", seconds{25}, "NET-954"},
    {S::kConnecting, "Connecting sound", seconds{20}, "SIG-903"},
    {S::kActive, "In the conference", seconds{0}, ""},
    {S::kLeaving, "Leaving", seconds{5}, ""},
    {S::kFailed, "Not joined", seconds{0}, ""},
    {S::kRetrying, "Waiting to try again", seconds{0}, ""},
};

constexpr CallEdge kEdges[] = {
    {S::kIdle, E::kJoin, false, S::kServiceLogin, A::kLogin},
    {S::kFailed, E::kJoin, false, S::kServiceLogin, A::kLogin},
    {S::kFailed, E::kLeave, false, S::kIdle, A::kReset},

    {S::kServiceLogin, E::kLoggedIn, false, S::kJoining, A::kRequestJoin},
    {S::kServiceLogin, E::kNextWay, false, S::kServiceLogin, A::kLogin},
    {S::kServiceLogin, E::kRefused, false, S::kFailed, A::kFail},
    {S::kServiceLogin, E::kFailure, true, S::kRetrying, A::kWait},
    {S::kServiceLogin, E::kFailure, false, S::kFailed, A::kFail},
    {S::kServiceLogin, E::kDeadline, true, S::kRetrying, A::kWait},
    {S::kServiceLogin, E::kDeadline, false, S::kFailed, A::kFail},
    {S::kServiceLogin, E::kLeave, false, S::kIdle, A::kReset},

    {S::kJoining, E::kJoined, false, S::kConnecting, A::kInvite},
    {S::kJoining, E::kTokenRejected, false, S::kServiceLogin, A::kLogin},
    {S::kJoining, E::kNextWay, false, S::kServiceLogin, A::kLogin},
    {S::kJoining, E::kRefused, false, S::kFailed, A::kFail},
    {S::kJoining, E::kFailure, true, S::kRetrying, A::kWait},
    {S::kJoining, E::kFailure, false, S::kFailed, A::kFail},
    {S::kJoining, E::kDeadline, true, S::kRetrying, A::kWait},
    {S::kJoining, E::kDeadline, false, S::kFailed, A::kFail},
    {S::kJoining, E::kLeave, false, S::kIdle, A::kReset},

    {S::kConnecting, E::kAnswered, false, S::kActive, A::kEnterCall},
    {S::kConnecting, E::kNextWay, false, S::kConnecting, A::kInvite},
    {S::kConnecting, E::kRefused, false, S::kFailed, A::kFail},
    {S::kConnecting, E::kFailure, true, S::kRetrying, A::kWait},
    {S::kConnecting, E::kFailure, false, S::kFailed, A::kFail},
    {S::kConnecting, E::kDeadline, true, S::kRetrying, A::kWait},
    {S::kConnecting, E::kDeadline, false, S::kFailed, A::kFail},
    {S::kConnecting, E::kLeave, false, S::kLeaving, A::kHangUp},

    {S::kActive, E::kLeave, false, S::kLeaving, A::kHangUp},
    {S::kActive, E::kPeerEnded, false, S::kLeaving, A::kProbe},
    {S::kActive, E::kNextWay, false, S::kConnecting, A::kInvite},
    {S::kActive, E::kMediaLost, true, S::kRetrying, A::kWait},
    {S::kActive, E::kMediaLost, false, S::kFailed, A::kFail},

    {S::kLeaving, E::kEnded, false, S::kIdle, A::kReset},
    {S::kLeaving, E::kFailure, true, S::kRetrying, A::kWait},
    {S::kLeaving, E::kFailure, false, S::kIdle, A::kReset},
    {S::kLeaving, E::kDeadline, false, S::kIdle, A::kReset},

    {S::kRetrying, E::kRetryDue, false, S::kServiceLogin, A::kLogin},
    {S::kRetrying, E::kJoin, false, S::kServiceLogin, A::kLogin},
    {S::kRetrying, E::kLeave, false, S::kIdle, A::kReset},
};

}  // namespace

std::string_view name_of(CallState state) {
  static constexpr std::string_view kNames[kCallStateCount] = {
      "idle", "service_login", "joining", "connecting", "active", "leaving", "failed", "retrying"};
  return kNames[static_cast<std::size_t>(state)];
}

std::span<const CallEdge> call_edges() { return kEdges; }

const CallStateRow& row_of(CallState state) { return kStates[static_cast<std::size_t>(state)]; }

CallMachine::Taken CallMachine::take(CallEvent event, bool persistent) {
  for (const CallEdge& edge : kEdges) {
    if (edge.from == state_ && edge.event == event && (persistent || !edge.persistent)) {
      state_ = edge.to;
      return {true, edge.action};
    }
  }
  return {};
}

std::chrono::milliseconds retry_delay(int attempt, double spread) {
  const int doublings = std::clamp(attempt - 1, 0, 5);
  const double base = std::min(1000.0 * (1 << doublings), 30000.0);
  return std::chrono::milliseconds(
      static_cast<long>(base * (0.8 + 0.4 * std::clamp(spread, 0.0, 1.0))));
}

}  // namespace conclave::control
