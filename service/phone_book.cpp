// SPDX-License-Identifier: Apache-2.0
#include "service/phone_book.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/log.h"
#include "service/files.h"
#include "service/secrets.h"

namespace conclave::service {
namespace {

using nlohmann::json;

constexpr const char* kLog = "service.phones";
constexpr std::size_t kMaxFileBytes = 16 * 1024 * 1024;
constexpr std::size_t kMaxRecords = 50'000;
constexpr std::size_t kTokenBytes = 32;

std::int64_t wall_clock_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

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

PhoneBook::PhoneBook(const Directory& directory, std::string file, WallClock now)
    : directory_(directory), file_(std::move(file)), now_(now ? std::move(now) : wall_clock_s) {}

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

Status PhoneBook::load() {
  if (file_.empty()) return {};
  bool missing = false;
  const auto text = read_file(file_, kMaxFileBytes, &missing);
  if (missing) return {};
  if (!text) return text.error();
  const Error damaged{file_ + " is damaged; restore it, or remove it and activate the phones anew"};
  const json root = json::parse(*text, nullptr, false);
  const auto phones = root.is_object() ? root.find("phones") : root.end();
  if (!root.is_object() || phones == root.end() || !phones->is_object()) return damaged;
  Records records;
  for (const auto& [serial, value] : phones->items()) {
    if (!protocol::valid_identifier(serial) || !value.is_object()) return damaged;
    const json& fields = value;
    const auto text_of = [&fields](const char* key) {
      const auto at = fields.find(key);
      return at != fields.end() && at->is_string() ? at->get<std::string>() : std::string();
    };
    const auto state = parse_phone_state(text_of("state"));
    const auto since = value.find("since");
    if (!state || since == value.end() || !since->is_number_integer()) return damaged;
    records[serial] = {*state, text_of("token_sha256"), text_of("basis"),
                       since->get<std::int64_t>()};
  }
  const std::lock_guard lock(mutex_);
  records_ = std::move(records);
  return {};
}

Status PhoneBook::keep(Records records) {
  if (!file_.empty()) {
    json phones = json::object();
    for (const auto& [serial, record] : records) {
      phones[serial] = {{"state", to_string(record.state)}, {"since", record.since_s}};
      if (!record.basis.empty()) phones[serial]["basis"] = record.basis;
      if (!record.token_digest.empty()) phones[serial]["token_sha256"] = record.token_digest;
    }
    CONCLAVE_CHECK_STATUS(
        write_file(file_, json({{"phones", std::move(phones)}}).dump(1) + "\n", 0600));
  }
  records_ = std::move(records);
  return {};
}

PhoneBook::Admission PhoneBook::admits(const std::string& serial) const {
  const std::lock_guard lock(mutex_);
  const Record* record = record_of(serial);
  const auto entry = directory_.phones.find(serial);
  if (record == nullptr && entry == directory_.phones.end()) {
    return directory_.open ? Admission::kYes : Admission::kUnknown;
  }
  switch (record != nullptr ? record->state : entry->second.state) {
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
  const auto entry = directory_.phones.find(serial);
  if (entry == directory_.phones.end()) return activation_error("ACT-404");
  const PhoneEntry& phone = entry->second;
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
  Records records = records_;
  records[serial] = {PhoneState::kActive, sha256_hex(token), basis_of(serial), now_()};
  if (const Status kept = keep(std::move(records)); !kept) {
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
  Records records = records_;
  records[serial] = {PhoneState::kInactive, "", basis_of(serial), now_()};
  CONCLAVE_CHECK_STATUS(keep(std::move(records)));
  return serial;
}

Status PhoneBook::set_state(const std::string& serial, PhoneState state) {
  if (!protocol::valid_identifier(serial)) return Error{"no serial number"};
  const std::lock_guard lock(mutex_);
  if (records_.size() >= kMaxRecords && !records_.contains(serial)) {
    return Error{"more than " + std::to_string(kMaxRecords) + " phones"};
  }
  Records records = records_;
  const Record* before = record_of(serial);
  const std::string token =
      before != nullptr && state == PhoneState::kActive ? before->token_digest : std::string();
  records[serial] = {state, token, basis_of(serial), now_()};
  return keep(std::move(records));
}

std::vector<PhoneBook::Listed> PhoneBook::list() const {
  const std::lock_guard lock(mutex_);
  std::set<std::string> serials;
  for (const auto& [serial, entry] : directory_.phones) serials.insert(serial);
  for (const auto& [serial, record] : records_) {
    if (record_of(serial) != nullptr) serials.insert(serial);
  }
  std::vector<Listed> out;
  for (const auto& serial : serials) {
    if (const Record* record = record_of(serial)) {
      out.push_back({serial, record->state, !record->token_digest.empty(), record->since_s});
    } else {
      out.push_back({serial, directory_.phones.at(serial).state, false, 0});
    }
  }
  return out;
}

}  // namespace conclave::service
