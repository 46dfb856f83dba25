// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "service/directory.h"

namespace conclave::service {

/// Which phones are activated: what the directory says and, on top of it, what has happened since,
/// kept in a file of its own so that it survives a restart. When the administrator changes a
/// phone's entry in the directory, that entry counts again and what had happened is forgotten.
///
/// Of an activation's token only the SHA-256 digest is kept. Any thread.
class PhoneBook {
 public:
  using WallClock = std::function<std::int64_t()>;  ///< seconds since 1970

  /// `file` empty: nothing is kept. `directory` must outlive this.
  explicit PhoneBook(const Directory& directory, std::string file = {}, WallClock now = {});
  /// Reads the file, if there is one. A damaged one is an error: guessing would let phones in.
  Status load();

  enum class Admission { kYes, kUnknown, kInactive, kDeactivated, kWrongToken };
  /// By the phone's state alone.
  Admission admits(const std::string& serial) const;
  /// And by the token of its activation, where it was activated by a PIN.
  Admission admits(const std::string& serial, std::string_view token) const;

  /// The token of a new activation, or an Error with id ACT-401, -404, -410, -412, -423 or -500.
  /// An activation ends the one before. `certificate`: SHA-256 of the client's, empty without.
  Result<std::string> activate(const std::string& serial, std::string_view pin,
                               std::string_view certificate);
  /// Ends the activation that the token belongs to. The serial number; empty when there is none.
  Result<std::string> deactivate(std::string_view token);
  /// The administrator's word: ends an activation unless `state` is active.
  Status set_state(const std::string& serial, PhoneState state);

  struct Listed {
    std::string serial{};
    PhoneState state = PhoneState::kInactive;
    bool by_pin = false;       ///< activated by a PIN, so that each login needs the token
    std::int64_t since_s = 0;  ///< of the state; 0: as the directory says
  };
  std::vector<Listed> list() const;

 private:
  struct Record {
    PhoneState state = PhoneState::kInactive;
    std::string token_digest{};  ///< empty: none
    std::string basis{};         ///< digest of the directory's entry that this was built on
    std::int64_t since_s = 0;
  };
  using Records = std::map<std::string, Record>;
  std::string basis_of(const std::string& serial) const;
  const Record* record_of(const std::string& serial) const;
  Status keep(Records records);

  const Directory& directory_;
  const std::string file_;
  const WallClock now_;
  mutable std::mutex mutex_;
  Records records_;
};

std::string_view to_string(PhoneState state);
std::optional<PhoneState> parse_phone_state(std::string_view text);

}  // namespace conclave::service
