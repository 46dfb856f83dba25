// SPDX-License-Identifier: Apache-2.0
#include "service/phone_book.h"

#include <set>
#include <utility>

#include "base/log.h"
#include "service/secrets.h"

namespace conclave::service {
namespace {

constexpr const char* kLog = "service.phones";
constexpr std::size_t kMaxRecords = 50'000;
constexpr std::size_t kTokenBytes = 32;

Error activation_error(const char* id) { return Error{"", id}; }

}  // namespace

std::string_view to_string(PhoneState state) {
  switch (state) {
    case PhoneState::kActive:
      return "active";
    case PhoneState::kInactive:
      return "inactive";
    case PhoneState::kDeactivated:
      break;
  }
  return "deactivated";
}

std::optional<PhoneState> parse_phone_state(std::string_view text) {
  for (const auto state : {PhoneState::kActive, PhoneState::kInactive, PhoneState::kDeactivated}) {
    if (text == to_string(state)) return state;
  }
  return std::nullopt;
}

PhoneBook::PhoneBook(const Directory& directory, Store* store, WallClock now)
    : directory_(directory), store_(store), now_(now ? std::move(now) : wall_clock_s) {}

std::string PhoneBook::basis_of(const std::string& serial) const {
  const auto entry = directory_.phones.find(serial);
  if (entry == directory_.phones.end()) return {};
  const PhoneEntry& e = entry->second;
  return sha256_hex(std::string(to_string(e.state)) + "\n" + e.pin + "\n" +
                    std::to_string(e.pin_expires_s) + "\n" + e.certificate);
}

const PhoneBook::Record* PhoneBook::record_of(const std::string& serial) const {
  const auto found = records_.find(serial);
  if (found == records_.end() || found->second.basis != basis_of(serial)) return nullptr;
  return &found->second;
}

const PhoneEntry* PhoneBook::entry_of(const std::string& serial) const {
  const Record* record = record_of(serial);
  if (record != nullptr && record->entry) return &*record->entry;
  const auto entry = directory_.phones.find(serial);
  return entry != directory_.phones.end() ? &entry->second : nullptr;
}

Status PhoneBook::load() {
  if (store_ == nullptr) return {};
  CONCLAVE_TRY(auto records, store_->phones());
  const std::lock_guard lock(mutex_);
  records_ = std::move(records);
  return {};
}

Status PhoneBook::keep(const std::string& serial, Record record) {
  record.basis = basis_of(serial);
  record.since_s = now_();
  if (store_ != nullptr) CONCLAVE_CHECK_STATUS(store_->put_phone(serial, record));
  records_[serial] = std::move(record);
  return {};
}

PhoneBook::Admission PhoneBook::admits(const std::string& serial) const {
  const std::lock_guard lock(mutex_);
  const Record* record = record_of(serial);
  const PhoneEntry* entry = entry_of(serial);
  if (record == nullptr && entry == nullptr) {
    return directory_.open ? Admission::kYes : Admission::kUnknown;
  }
  switch (record != nullptr ? record->state : entry->state) {
    case PhoneState::kActive:
      return Admission::kYes;
    case PhoneState::kInactive:
      return Admission::kInactive;
    case PhoneState::kDeactivated:
      break;
  }
  return Admission::kDeactivated;
}

PhoneBook::Admission PhoneBook::admits(const std::string& serial, std::string_view token) const {
  if (const Admission by_state = admits(serial); by_state != Admission::kYes) return by_state;
  const std::lock_guard lock(mutex_);
  const Record* record = record_of(serial);
  if (record == nullptr || record->token_digest.empty()) return Admission::kYes;
  // A phone that has lost its token (a factory reset) is told to activate, not that it cheats.
  if (token.empty()) return Admission::kInactive;
  return same_secret(record->token_digest, sha256_hex(token)) ? Admission::kYes
                                                              : Admission::kWrongToken;
}

Result<std::string> PhoneBook::activate(const std::string& serial, std::string_view pin,
                                        std::string_view certificate) {
  const std::lock_guard lock(mutex_);
  const PhoneEntry* entry = entry_of(serial);
  if (entry == nullptr) return activation_error("ACT-404");
  const PhoneEntry& phone = *entry;
  const Record* record = record_of(serial);
  if ((record != nullptr ? record->state : phone.state) == PhoneState::kDeactivated) {
    return activation_error("ACT-423");
  }
  if (!phone.certificate.empty() && !same_secret(phone.certificate, certificate)) {
    return activation_error("ACT-412");
  }
  // Only who knows the PIN learns that it has expired.
  if (phone.pin.empty() || !same_secret(phone.pin, pin)) return activation_error("ACT-401");
  if (phone.pin_expires_s != 0 && now_() >= phone.pin_expires_s) return activation_error("ACT-410");
  std::string token = random_hex(kTokenBytes);
  Record next = record != nullptr ? *record : Record{};
  next.state = PhoneState::kActive;
  next.token_digest = sha256_hex(token);
  if (const Status kept = keep(serial, std::move(next)); !kept) {
    log::error(kLog, kept.error().message);
    return activation_error("ACT-500");
  }
  return token;
}

Result<std::string> PhoneBook::deactivate(std::string_view token) {
  const std::string digest = sha256_hex(token);
  const std::lock_guard lock(mutex_);
  std::string serial;
  for (const auto& [candidate, record] : records_) {
    if (!record.token_digest.empty() && same_secret(record.token_digest, digest)) {
      serial = candidate;
    }
  }
  if (serial.empty()) return serial;
  const Record* record = record_of(serial);
  Record next = record != nullptr ? *record : Record{};
  next.state = PhoneState::kInactive;
  next.token_digest.clear();
  CONCLAVE_CHECK_STATUS(keep(serial, std::move(next)));
  return serial;
}

Status PhoneBook::set_state(const std::string& serial, PhoneState state) {
  if (!protocol::valid_identifier(serial)) return Error{"no serial number"};
  const std::lock_guard lock(mutex_);
  if (records_.size() >= kMaxRecords && !records_.contains(serial)) {
    return Error{"more than " + std::to_string(kMaxRecords) + " phones"};
  }
  const Record* before = record_of(serial);
  Record next = before != nullptr ? *before : Record{};
  next.state = state;
  if (state != PhoneState::kActive) next.token_digest.clear();
  return keep(serial, std::move(next));
}

Status PhoneBook::put(const std::string& serial, const PhoneEntry& entry) {
  if (!protocol::valid_identifier(serial)) return Error{"no serial number"};
  const std::lock_guard lock(mutex_);
  if (records_.size() >= kMaxRecords && !records_.contains(serial)) {
    return Error{"more than " + std::to_string(kMaxRecords) + " phones"};
  }
  Record next;
  next.state = entry.state;
  next.entry = entry;
  return keep(serial, std::move(next));
}

Result<bool> PhoneBook::forget(const std::string& serial) {
  const std::lock_guard lock(mutex_);
  const bool seen = store_ != nullptr ? store_->seen().contains(serial) : seen_.contains(serial);
  if (!records_.contains(serial) && !seen) return false;
  if (store_ != nullptr) CONCLAVE_CHECK_STATUS(store_->remove_phone(serial));
  records_.erase(serial);
  seen_.erase(serial);
  return true;
}

void PhoneBook::saw(const std::string& serial, const std::string& peer, const std::string& model,
                    const std::string& version) {
  const PhoneSeen seen{now_(), peer, model, version};
  if (store_ != nullptr) {
    if (const Status kept = store_->saw(serial, seen); !kept) {
      log::warning(kLog, kept.error().message);
    }
    return;
  }
  const std::lock_guard lock(mutex_);
  if (seen_.size() < kMaxRecords) seen_[serial] = seen;
}

bool PhoneBook::knows(const std::string& serial) const {
  const std::lock_guard lock(mutex_);
  return entry_of(serial) != nullptr;
}

std::vector<PhoneBook::Listed> PhoneBook::list() const {
  const auto seen = store_ != nullptr ? store_->seen() : std::map<std::string, PhoneSeen>();
  const std::lock_guard lock(mutex_);
  std::set<std::string> serials;
  for (const auto& [serial, entry] : directory_.phones) serials.insert(serial);
  for (const auto& [serial, record] : records_) {
    if (record_of(serial) != nullptr) serials.insert(serial);
  }
  for (const auto& [serial, when] : store_ != nullptr ? seen : seen_) serials.insert(serial);
  std::vector<Listed> out;
  for (const auto& serial : serials) {
    Listed listed;
    listed.serial = serial;
    const Record* record = record_of(serial);
    const PhoneEntry* entry = entry_of(serial);
    if (entry != nullptr) listed.entry = *entry;
    listed.declared = entry != nullptr && (record == nullptr || !record->entry);
    listed.known = record != nullptr || entry != nullptr;
    // Who is merely seen logged in while every phone may.
    listed.state = record != nullptr  ? record->state
                   : entry != nullptr ? entry->state
                   : directory_.open  ? PhoneState::kActive
                                      : PhoneState::kInactive;
    if (record != nullptr) {
      listed.by_pin = !record->token_digest.empty();
      listed.since_s = record->since_s;
    }
    const auto& all = store_ != nullptr ? seen : seen_;
    if (const auto at = all.find(serial); at != all.end()) listed.seen = at->second;
    out.push_back(std::move(listed));
  }
  return out;
}

}  // namespace conclave::service
