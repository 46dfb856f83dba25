// SPDX-License-Identifier: Apache-2.0
#include "control/provisioning/setup_machine.h"

#include <algorithm>
#include <cmath>

namespace conclave::control {
namespace {

using S = SetupState;
using E = SetupEvent;
using A = SetupAction;
using G = SetupGuard;
using std::chrono::seconds;

constexpr SetupStateRow kStates[kSetupStateCount] = {
    {S::kOff, "", seconds{0}, E::kStop, ""},
    {S::kConsole, "Asking the console for the provisioning server", seconds{60}, E::kImpossible,
     "NET-954"},
    {S::kChoosing, "Choose the service provider", seconds{0}, E::kStop, ""},
    {S::kTelling, "Telling the console the service provider", seconds{60}, E::kImpossible,
     "NET-954"},
    {S::kDiscovering, "Looking for a server in the local network", seconds{20}, E::kImpossible,
     "NET-953"},
    {S::kConfirming, "Confirm the server that was found", seconds{0}, E::kStop, ""},
    {S::kAddress, "Enter the address of the provisioning server", seconds{0}, E::kStop, ""},
    {S::kFetching, "Getting the configuration", seconds{300}, E::kFailed, "NET-954"},
    {S::kReady, "The configuration is in force", seconds{0}, E::kStop, ""},
    {S::kWaiting, "Waiting to try again", seconds{0}, E::kStop, ""},
};

constexpr SetupEdge kEdges[] = {
    {S::kOff, E::kBegin, G::kEstablished, S::kFetching, A::kFetch},
    {S::kOff, E::kBegin, G::kAlways, S::kConsole, A::kAskConsole},
    {S::kOff, E::kAddress, G::kAlways, S::kFetching, A::kFetch},

    {S::kConsole, E::kKnown, G::kAlways, S::kFetching, A::kFetch},
    {S::kConsole, E::kUnknown, G::kAlways, S::kChoosing, A::kAskProvider},
    {S::kConsole, E::kFound, G::kFreshLocal, S::kConfirming, A::kAskConfirm},
    {S::kConsole, E::kImpossible, G::kFreshLocal, S::kAddress, A::kAskAddress},
    {S::kConsole, E::kImpossible, G::kAlways, S::kDiscovering, A::kDiscover},

    {S::kChoosing, E::kChosen, G::kAlways, S::kTelling, A::kTellConsole},
    {S::kChoosing, E::kFound, G::kFreshLocal, S::kConfirming, A::kAskConfirm},
    {S::kChoosing, E::kDeclined, G::kFreshLocal, S::kAddress, A::kAskAddress},
    {S::kChoosing, E::kDeclined, G::kAlways, S::kDiscovering, A::kDiscover},

    {S::kTelling, E::kKnown, G::kAlways, S::kFetching, A::kFetch},
    {S::kTelling, E::kFound, G::kFreshLocal, S::kConfirming, A::kAskConfirm},
    {S::kTelling, E::kImpossible, G::kFreshLocal, S::kAddress, A::kAskAddress},
    {S::kTelling, E::kImpossible, G::kAlways, S::kDiscovering, A::kDiscover},

    {S::kDiscovering, E::kFound, G::kAlways, S::kConfirming, A::kAskConfirm},
    {S::kDiscovering, E::kImpossible, G::kAlways, S::kAddress, A::kAskAddress},

    {S::kConfirming, E::kAccepted, G::kAlways, S::kFetching, A::kFetch},
    {S::kConfirming, E::kConsoleAccepted, G::kAlways, S::kConsole, A::kAskConsole},
    {S::kConfirming, E::kDeclined, G::kAlways, S::kAddress, A::kAskAddress},

    {S::kAddress, E::kDue, G::kAlways, S::kConsole, A::kAskConsole},
    {S::kAddress, E::kResync, G::kAlways, S::kConsole, A::kAskConsole},

    {S::kFetching, E::kApplied, G::kAlways, S::kReady, A::kSettle},
    {S::kFetching, E::kRefused, G::kAlways, S::kWaiting, A::kWait},
    {S::kFetching, E::kFailed, G::kFreshConsole, S::kDiscovering, A::kDiscover},
    {S::kFetching, E::kFailed, G::kFreshLocal, S::kAddress, A::kAskAddress},
    {S::kFetching, E::kFound, G::kFreshLocal, S::kConfirming, A::kAskConfirm},
    {S::kFetching, E::kFailed, G::kAlways, S::kWaiting, A::kWait},

    {S::kReady, E::kDue, G::kAlways, S::kFetching, A::kFetch},
    {S::kReady, E::kResync, G::kAlways, S::kFetching, A::kFetch},

    {S::kWaiting, E::kDue, G::kAlways, S::kFetching, A::kFetch},
    {S::kWaiting, E::kResync, G::kAlways, S::kFetching, A::kFetch},

    // From everywhere but the beginning.
    {S::kConsole, E::kAddress, G::kAlways, S::kFetching, A::kFetch},
    {S::kChoosing, E::kAddress, G::kAlways, S::kFetching, A::kFetch},
    {S::kTelling, E::kAddress, G::kAlways, S::kFetching, A::kFetch},
    {S::kDiscovering, E::kAddress, G::kAlways, S::kFetching, A::kFetch},
    {S::kConfirming, E::kAddress, G::kAlways, S::kFetching, A::kFetch},
    {S::kAddress, E::kAddress, G::kAlways, S::kFetching, A::kFetch},
    {S::kFetching, E::kAddress, G::kAlways, S::kFetching, A::kFetch},
    {S::kReady, E::kAddress, G::kAlways, S::kFetching, A::kFetch},
    {S::kWaiting, E::kAddress, G::kAlways, S::kFetching, A::kFetch},
    {S::kConsole, E::kAnew, G::kAlways, S::kConsole, A::kAskConsole},
    {S::kChoosing, E::kAnew, G::kAlways, S::kConsole, A::kAskConsole},
    {S::kTelling, E::kAnew, G::kAlways, S::kConsole, A::kAskConsole},
    {S::kDiscovering, E::kAnew, G::kAlways, S::kConsole, A::kAskConsole},
    {S::kConfirming, E::kAnew, G::kAlways, S::kConsole, A::kAskConsole},
    {S::kAddress, E::kAnew, G::kAlways, S::kConsole, A::kAskConsole},
    {S::kFetching, E::kAnew, G::kAlways, S::kConsole, A::kAskConsole},
    {S::kReady, E::kAnew, G::kAlways, S::kConsole, A::kAskConsole},
    {S::kWaiting, E::kAnew, G::kAlways, S::kConsole, A::kAskConsole},
    {S::kConsole, E::kStop, G::kAlways, S::kOff, A::kHalt},
    {S::kChoosing, E::kStop, G::kAlways, S::kOff, A::kHalt},
    {S::kTelling, E::kStop, G::kAlways, S::kOff, A::kHalt},
    {S::kDiscovering, E::kStop, G::kAlways, S::kOff, A::kHalt},
    {S::kConfirming, E::kStop, G::kAlways, S::kOff, A::kHalt},
    {S::kAddress, E::kStop, G::kAlways, S::kOff, A::kHalt},
    {S::kFetching, E::kStop, G::kAlways, S::kOff, A::kHalt},
    {S::kReady, E::kStop, G::kAlways, S::kOff, A::kHalt},
    {S::kWaiting, E::kStop, G::kAlways, S::kOff, A::kHalt},
};

bool fits(SetupGuard guard, bool established, SetupMethod method) {
  switch (guard) {
    case G::kAlways:
      return true;
    case G::kEstablished:
      return established;
    case G::kFreshConsole:
      return !established && method == SetupMethod::kPlugAndPlay;
    case G::kFreshLocal:
      return !established && method == SetupMethod::kAutomaticLocal;
  }
  return false;
}

}  // namespace

std::string_view name_of(SetupMethod method) {
  static constexpr std::string_view kNames[kSetupMethodCount] = {
      "Plug-and-Play Setup", "Automatic Local Setup", "Manual Setup"};
  return kNames[static_cast<std::size_t>(method)];
}

std::string_view name_of(SetupState state) {
  static constexpr std::string_view kNames[kSetupStateCount] = {
      "off",        "asking_console", "choosing_provider", "telling_console", "discovering",
      "confirming", "address_wanted", "fetching",          "ready",           "waiting"};
  return kNames[static_cast<std::size_t>(state)];
}

std::span<const SetupEdge> setup_edges() { return kEdges; }

const SetupStateRow& row_of(SetupState state) { return kStates[static_cast<std::size_t>(state)]; }

SetupMachine::Taken SetupMachine::take(SetupEvent event, bool established, SetupMethod method) {
  for (const SetupEdge& edge : kEdges) {
    if (edge.from == state_ && edge.event == event && fits(edge.guard, established, method)) {
      state_ = edge.to;
      return {true, edge.action};
    }
  }
  return {};
}

std::chrono::milliseconds setup_retry_delay(int attempt, double spread,
                                            std::chrono::milliseconds first) {
  constexpr double kLongest = 30.0 * 60 * 1000;
  const int doublings = std::clamp(attempt - 1, 0, 20);
  const double base = std::min(std::ldexp(static_cast<double>(first.count()), doublings), kLongest);
  return std::chrono::milliseconds(
      static_cast<long>(base * (0.8 + 0.4 * std::clamp(spread, 0.0, 1.0))));
}

}  // namespace conclave::control
