// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

namespace conclave::control {

/// The guide's three ways to a provisioning server, in its order (2.3).
enum class SetupMethod : std::uint8_t { kPlugAndPlay, kAutomaticLocal, kManual };
inline constexpr int kSetupMethodCount = 3;
/// As in the settings: "Plug-and-Play Setup".
std::string_view name_of(SetupMethod method);

enum class SetupState : std::uint8_t {
  kOff,          ///< nothing is allowed, or not begun
  kConsole,      ///< Plug-and-Play: asking the redirect console
  kChoosing,     ///< the console does not know the phone: a person picks a provider
  kTelling,      ///< telling the console which one
  kDiscovering,  ///< Automatic Local Setup: DNS SRV and DHCP options
  kConfirming,   ///< something was found: a person confirms
  kAddress,      ///< Manual Setup: a person types an address
  kFetching,     ///< getting the configuration and putting it in force
  kReady,        ///< in force, as the server has it
  kWaiting,      ///< did not work; waiting to try again
};
inline constexpr int kSetupStateCount = 10;
std::string_view name_of(SetupState state);

enum class SetupEvent : std::uint8_t {
  kBegin,
  kKnown,            ///< the console named the provisioning server
  kUnknown,          ///< the console gave a list of providers
  kImpossible,       ///< this way does not lead anywhere
  kChosen,           ///< a person (or a setting) picked a provider
  kFound,            ///< the local network announces at least one server
  kAccepted,         ///< a person confirmed a provisioning server
  kConsoleAccepted,  ///< a person confirmed a console of the local network
  kDeclined,
  kAddress,  ///< an address was typed, or a setting has a new one
  kApplied,  ///< the configuration is in force, or was already
  kRefused,  ///< the server gave one that cannot be used
  kFailed,   ///< the server gave none
  kDue,      ///< the wait is over
  kResync,   ///< somebody wants it now
  kAnew,     ///< forget the server, begin at the beginning
  kStop,
};

enum class SetupAction : std::uint8_t {
  kNone,
  kAskConsole,
  kAskProvider,  ///< show the list
  kTellConsole,
  kDiscover,
  kAskConfirm,  ///< show what was found
  kAskAddress,  ///< show that an address is wanted; try the other ways again after a while
  kFetch,
  kSettle,  ///< come back after the interval
  kWait,    ///< come back after a while, longer each time
  kHalt,
};

/// When an edge counts, besides its event.
enum class SetupGuard : std::uint8_t {
  kAlways,
  kEstablished,   ///< the server has given a configuration before
  kFreshConsole,  ///< it has not, and the console named it
  kFreshLocal,    ///< it has not, and the local network announced it
};

struct SetupEdge {
  SetupState from;
  SetupEvent event;
  SetupGuard guard;
  SetupState to;
  SetupAction action;
};
struct SetupStateRow {
  SetupState state;
  std::string_view step;       ///< what people are shown
  std::chrono::seconds limit;  ///< 0: as long as it likes
  SetupEvent at_limit;
  std::string_view error;  ///< catalogue id, at the limit
};

std::span<const SetupEdge> setup_edges();
const SetupStateRow& row_of(SetupState state);

/// The setup as a table: no clock, no network, no thread of its own. The first row that fits wins;
/// an event that has none changes nothing.
class SetupMachine {
 public:
  SetupState state() const { return state_; }
  struct Taken {
    bool moved = false;
    SetupAction action = SetupAction::kNone;
  };
  Taken take(SetupEvent event, bool established, SetupMethod method);

 private:
  SetupState state_ = SetupState::kOff;
};

/// Wait before attempt n (1, 2, …): 10 s doubling to 30 min, spread by ±20 %. `spread` is 0..1;
/// `first` is another length of the first wait, for tests.
std::chrono::milliseconds setup_retry_delay(
    int attempt, double spread, std::chrono::milliseconds first = std::chrono::seconds(10));

}  // namespace conclave::control
