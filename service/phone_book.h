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
#include "service/store/store.h"

namespace conclave::service {

/// Which phones are activated: what the directory says and, on top of it, what has happened since
/// and what the administrator has written, kept in the store so that it survives a restart. When a
/// phone's entry in the directory is changed, that entry counts again and all else is forgotten.
///
/// Of an activation's token only the SHA-256 digest is kept. Any thread.
class PhoneBook {
 public:
  /// `store` null: nothing is kept. `directory` and `store` must outlive this.
  explicit PhoneBook(const Directory& directory, Store* store = nullptr, WallClock now = {});
  /// Reads the store. A damaged one is an error: guessing would let phones in.
  Status load();

  enum class Admission { kYes, kUnknown, kInactive, kDeactivated, kWrongToken };
  /// By the phone's state alone.
  Admission admits(const std::string& serial) const;
  /// And by the token of its activation, where it was activated by a PIN.
  Admission admits(const std::string& serial, std::string_view token) const;
  /// Somebody has written it down: the directory's author or the administrator.
  bool knows(const std::string& serial) const;

  /// The token of a new activation, or an Error with id ACT-401, -404, -410, -412, -423 or -500.
  /// An activation ends the one before. `certificate`: SHA-256 of the client's, empty without.
  Result<std::string> activate(const std::string& serial, std::string_view pin,
                               std::string_view certificate);
  /// Ends the activation that the token belongs to. The serial number; empty when there is none.
  Result<std::string> deactivate(std::string_view token);
  /// The administrator's word: ends an activation unless `state` is active.
  Status set_state(const std::string& serial, PhoneState state);
  /// The administrator's entry, instead of the directory's. Ends an activation.
  Status put(const std::string& serial, const PhoneEntry& entry);
  /// Forgets all but what the directory says. False: there was nothing.
  Result<bool> forget(const std::string& serial);
  /// A login that was admitted.
  void saw(const std::string& serial, const std::string& peer, const std::string& model,
           const std::string& version);

  struct Listed {
    std::string serial{};
    PhoneState state = PhoneState::kInactive;
    bool by_pin = false;       ///< activated by a PIN, so that each login needs the token
    std::int64_t since_s = 0;  ///< of the state; 0: as the directory says
    PhoneEntry entry{};        ///< that counts; its `state` is the one before any activation
    bool known = true;         ///< false: nobody has written it down, it has merely logged in
    bool declared = false;     ///< as conferences.json says
    std::optional<PhoneSeen> seen{};
  };
  std::vector<Listed> list() const;

 private:
  using Record = PhoneRecord;
  using Records = std::map<std::string, Record>;
  std::string basis_of(const std::string& serial) const;
  const Record* record_of(const std::string& serial) const;
  /// The entry that counts; null: nobody has written the phone down.
  const PhoneEntry* entry_of(const std::string& serial) const;
  Status keep(const std::string& serial, Record record);

  const Directory& directory_;
  Store* const store_;
  const WallClock now_;
  mutable std::mutex mutex_;
  Records records_;
  std::map<std::string, PhoneSeen> seen_;  ///< without a store
};

std::string_view to_string(PhoneState state);
std::optional<PhoneState> parse_phone_state(std::string_view text);

}  // namespace conclave::service
