// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "service/protocol/messages.h"

namespace conclave::service {

/// A conference as the site's administrator wrote it down.
struct ConferenceEntry {
  std::string id{};
  std::string title{};
  std::string chairperson_passcode{};
  std::string participant_passcode{};
  bool email_required = false;
  std::vector<std::string> emails{};  ///< who may join by e-mail; empty: anybody
  bool self_mute = true;              ///< participants may mute and unmute their own line
  bool dial_out = true;               ///< the chairperson may have others called
  bool operator_call = true;          ///< an operator may be asked for
  bool recording = true;              ///< the chairperson may record

  bool operator==(const ConferenceEntry&) const = default;
};

enum class PhoneState { kActive, kInactive, kDeactivated };

/// A phone as the administrator wrote it down. With a PIN it can activate itself.
struct PhoneEntry {
  PhoneState state = PhoneState::kActive;
  std::string pin{};  ///< empty: none
  std::int64_t pin_expires_s =
      0;                      ///< seconds since 1970 from which the PIN counts no more; 0: never
  std::string certificate{};  ///< SHA-256 of its client certificate, lower-case hex; empty: any
};

/// The file conferences.json: who may meet where. `phones` absent: every phone may log in.
struct Directory {
  std::vector<ConferenceEntry> conferences{};
  std::map<std::string, PhoneEntry> phones{};  ///< by serial number
  bool open = true;                            ///< phones not listed may log in too

  const ConferenceEntry* find(std::string_view id) const;
};

/// One entry, from a JSON object with the members that conferences.json has. Errors say what is
/// wrong with it.
Result<ConferenceEntry> parse_conference(std::string_view json);
Result<PhoneEntry> parse_phone(std::string_view json);
/// The same object; what the administrator changes is kept in this form.
std::string to_json(const ConferenceEntry& entry);
/// The last day on which a PIN counts, as 2027-03-31; empty: for ever.
std::string last_day_of(const PhoneEntry& entry);

/// Errors say which entry is wrong and why: same passcode twice, no digits, empty id.
Result<Directory> parse_directory(std::string_view json);
/// Reads `path`; when there is none, writes one with a "Project room" (mode 0600) and uses that.
Result<Directory> load_or_make_directory(const std::string& path);

}  // namespace conclave::service
