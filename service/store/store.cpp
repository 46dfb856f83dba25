// SPDX-License-Identifier: Apache-2.0
#include "service/store/store.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/durable_file.h"
#include "base/log.h"
#include "service/files.h"
#include "service/phone_book.h"
#include "service/secrets.h"
#include "service/store/schema.h"

namespace conclave::service {
namespace {

using nlohmann::json;

constexpr const char* kLog = "service.store";
constexpr std::size_t kMaxImportBytes = 16 * 1024 * 1024;

PhoneState state_of(const std::string& text) {
  return parse_phone_state(text).value_or(PhoneState::kDeactivated);
}

/// phones.json of earlier versions.
Result<std::map<std::string, PhoneRecord>> parse_phones(const std::string& file,
                                                        const std::string& text) {
  const Error damaged{file + " is damaged; restore it, or remove it and activate the phones anew"};
  const json root = json::parse(text, nullptr, false);
  const auto phones = root.is_object() ? root.find("phones") : root.end();
  if (!root.is_object() || phones == root.end() || !phones->is_object()) return damaged;
  std::map<std::string, PhoneRecord> out;
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
    out[serial] = {
        text_of("basis"), *state, text_of("token_sha256"), since->get<std::int64_t>(), {}};
  }
  return out;
}

Status write_phone(Database& database, const std::string& serial, const PhoneRecord& record) {
  const PhoneEntry entry = record.entry.value_or(PhoneEntry{});
  return Statement(database, "INSERT OR REPLACE INTO phones VALUES (?,?,?,?,?,?,?,?,?,?)")
      .bind(serial)
      .bind(record.basis)
      .bind(to_string(record.state))
      .bind(record.token_digest)
      .bind(record.since_s)
      .bind(record.entry.has_value())
      .bind(entry.pin)
      .bind(entry.pin_expires_s)
      .bind(entry.certificate)
      .bind(to_string(entry.state))
      .run();
}

}  // namespace

std::int64_t wall_clock_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Result<std::unique_ptr<Store>> Store::open(const std::string& path, WallClock now) {
  CONCLAVE_TRY(auto database, Database::open(path));
  std::unique_ptr<Store> store(
      new Store(std::move(database), now ? std::move(now) : WallClock(wall_clock_s)));
  CONCLAVE_CHECK_STATUS(store->migrate());
  return store;
}

Status Store::migrate() {
  // Within one transaction: two versions never meet halfway, and a kill leaves the old one.
  const std::lock_guard lock(mutex_);
  Transaction transaction(*database_);
  std::int64_t version = 0;
  {
    Statement ask(*database_, "PRAGMA user_version");
    if (ask.step()) version = ask.number(0);
    CONCLAVE_CHECK_STATUS(ask.status());
  }
  const auto steps = migrations();
  static_assert(kSchemaVersion == 1, "as many as there are migrations");
  if (version > static_cast<std::int64_t>(steps.size())) {
    return Error{"the service's database was written by a newer version (" +
                 std::to_string(version) + " > " + std::to_string(steps.size()) +
                 "); start that one, or restore an older copy"};
  }
  for (auto step = static_cast<std::size_t>(version); step < steps.size(); ++step) {
    CONCLAVE_CHECK_STATUS(database_->execute(steps[step]));
    CONCLAVE_CHECK_STATUS(database_->execute("PRAGMA user_version=" + std::to_string(step + 1)));
  }
  return transaction.commit();
}

Result<std::map<std::string, PhoneRecord>> Store::phones() {
  const std::lock_guard lock(mutex_);
  Statement rows(*database_,
                 "SELECT serial, basis, state, token_sha256, since, written, pin, pin_expires, "
                 "certificate, first_state FROM phones");
  std::map<std::string, PhoneRecord> out;
  while (rows.step()) {
    PhoneRecord record{rows.text(1), state_of(rows.text(2)), rows.text(3), rows.number(4), {}};
    if (rows.flag(5)) {
      record.entry = PhoneEntry{state_of(rows.text(9)), rows.text(6), rows.number(7), rows.text(8)};
    }
    out[rows.text(0)] = std::move(record);
  }
  CONCLAVE_CHECK_STATUS(rows.status());
  return out;
}

Status Store::put_phone(const std::string& serial, const PhoneRecord& record) {
  const std::lock_guard lock(mutex_);
  database_->set_durable(true);
  return write_phone(*database_, serial, record);
}

Status Store::remove_phone(const std::string& serial) {
  const std::lock_guard lock(mutex_);
  database_->set_durable(true);
  Transaction transaction(*database_);
  for (const char* sql : {"DELETE FROM phones WHERE serial=?", "DELETE FROM seen WHERE serial=?",
                          "DELETE FROM reports WHERE serial=?"}) {
    CONCLAVE_CHECK_STATUS(Statement(*database_, sql).bind(serial).run());
  }
  return transaction.commit();
}

Status Store::import_phones(const std::string& file) {
  bool missing = false;
  const auto text = read_file(file, kMaxImportBytes, &missing);
  if (missing) return {};
  if (!text) return text.error();
  CONCLAVE_TRY(const auto phones, parse_phones(file, *text));
  const std::string digest = sha256_hex(*text);
  {
    const std::lock_guard lock(mutex_);
    database_->set_durable(true);
    Transaction transaction(*database_);
    // Killed between commit and rename, the file is there once more, and what is in it is old.
    Statement known(*database_, "SELECT 1 FROM imports WHERE file='phones.json' AND sha256=?");
    const bool done = known.bind(digest).step();
    CONCLAVE_CHECK_STATUS(known.status());
    if (!done) {
      for (const auto& [serial, record] : phones) {
        CONCLAVE_CHECK_STATUS(write_phone(*database_, serial, record));
      }
      CONCLAVE_CHECK_STATUS(
          Statement(*database_, "INSERT OR REPLACE INTO imports VALUES ('phones.json',?,?)")
              .bind(digest)
              .bind(now_())
              .run());
    }
    CONCLAVE_CHECK_STATUS(transaction.commit());
  }
  log::info(kLog, "took over phones.json", {{"phones", static_cast<unsigned long>(phones.size())}});
  return move_durably(file, file + ".imported");
}

Status Store::saw(const std::string& serial, const PhoneSeen& seen) {
  const std::lock_guard lock(mutex_);
  database_->set_durable(false);
  if (seen_writes_++ % 256 == 0) {
    (void)Statement(*database_,
                    "DELETE FROM seen WHERE serial IN (SELECT serial FROM seen ORDER BY at DESC "
                    "LIMIT -1 OFFSET ?)")
        .bind(static_cast<std::int64_t>(kMaxSeen))
        .run();
  }
  return Statement(*database_, "INSERT OR REPLACE INTO seen VALUES (?,?,?,?,?)")
      .bind(serial)
      .bind(seen.at_s)
      .bind(seen.peer)
      .bind(seen.model)
      .bind(seen.version)
      .run();
}

std::map<std::string, PhoneSeen> Store::seen() {
  const std::lock_guard lock(mutex_);
  Statement rows(*database_, "SELECT serial, at, peer, model, version FROM seen");
  std::map<std::string, PhoneSeen> out;
  while (rows.step()) {
    out[rows.text(0)] = {rows.number(1), rows.text(2), rows.text(3), rows.text(4)};
  }
  return out;
}

Status Store::put_report(const std::string& serial, std::string_view kind, std::string_view body) {
  if (body.size() > kMaxReportBytes) {
    return Error{"a report is at most " + std::to_string(kMaxReportBytes) + " bytes long"};
  }
  const std::lock_guard lock(mutex_);
  database_->set_durable(true);
  Transaction transaction(*database_);
  CONCLAVE_CHECK_STATUS(
      Statement(*database_, "INSERT INTO reports(serial, at, kind, body) VALUES (?,?,?,?)")
          .bind(serial)
          .bind(now_())
          .bind(kind)
          .bind(body)
          .run());
  CONCLAVE_CHECK_STATUS(
      Statement(*database_,
                "DELETE FROM reports WHERE serial=?1 AND number NOT IN (SELECT number FROM "
                "reports WHERE serial=?1 ORDER BY number DESC LIMIT ?2)")
          .bind(serial)
          .bind(static_cast<std::int64_t>(kReportsOfPhone))
          .run());
  return transaction.commit();
}

std::vector<PhoneReport> Store::reports(const std::string& serial) {
  const std::lock_guard lock(mutex_);
  Statement rows(*database_,
                 "SELECT at, kind, body FROM reports WHERE serial=? ORDER BY number DESC");
  rows.bind(serial);
  std::vector<PhoneReport> out;
  while (rows.step()) out.push_back({rows.number(0), rows.text(1), rows.text(2)});
  return out;
}

std::map<std::string, PhoneReport> Store::newest_reports() {
  const std::lock_guard lock(mutex_);
  Statement rows(*database_,
                 "SELECT serial, at, kind FROM reports WHERE number IN (SELECT max(number) FROM "
                 "reports GROUP BY serial)");
  std::map<std::string, PhoneReport> out;
  while (rows.step()) out[rows.text(0)] = {rows.number(1), rows.text(2), ""};
  return out;
}

Result<std::map<std::string, MeetingRecord>> Store::meetings() {
  const std::lock_guard lock(mutex_);
  Statement rows(*database_, "SELECT id, basis, deleted, entry FROM meetings");
  std::map<std::string, MeetingRecord> out;
  while (rows.step()) {
    MeetingRecord record{rows.text(1), rows.flag(2), {}};
    record.entry.id = rows.text(0);
    if (!record.deleted) {
      auto entry = parse_conference(rows.text(3));
      // Left out, it does not lock up the service; the administrator makes it anew.
      if (!entry) {
        log::error(kLog, "a meeting cannot be read",
                   {{"id", record.entry.id}, {"why", entry.error().message}});
        continue;
      }
      record.entry = std::move(*entry);
    }
    out[rows.text(0)] = std::move(record);
  }
  CONCLAVE_CHECK_STATUS(rows.status());
  return out;
}

Status Store::put_meeting(const std::string& id, const MeetingRecord& record) {
  const std::lock_guard lock(mutex_);
  database_->set_durable(true);
  // Made by the administrator and deleted again: nothing needs to be remembered.
  if (record.deleted && record.basis.empty()) {
    return Statement(*database_, "DELETE FROM meetings WHERE id=?").bind(id).run();
  }
  return Statement(*database_, "INSERT OR REPLACE INTO meetings VALUES (?,?,?,?)")
      .bind(id)
      .bind(record.basis)
      .bind(record.deleted)
      .bind(to_json(record.entry))
      .run();
}

Status Store::put_session(const SessionRecord& record) {
  const std::lock_guard lock(mutex_);
  database_->set_durable(false);
  return Statement(*database_, "INSERT OR REPLACE INTO sessions VALUES (?,?,?,?,?)")
      .bind(record.token_digest)
      .bind(static_cast<std::int64_t>(record.session))
      .bind(record.serial)
      .bind(record.display_name)
      .bind(record.expires_s)
      .run();
}

void Store::remove_session(std::string_view token_digest) {
  const std::lock_guard lock(mutex_);
  database_->set_durable(false);
  const Status done =
      Statement(*database_, "DELETE FROM sessions WHERE token_sha256=?").bind(token_digest).run();
  if (!done) log::error(kLog, done.error().message);
}

void Store::remove_sessions(std::string_view serial) {
  const std::lock_guard lock(mutex_);
  database_->set_durable(true);  // who is shut out stays out
  const Status done =
      Statement(*database_, "DELETE FROM sessions WHERE serial=?").bind(serial).run();
  if (!done) log::error(kLog, done.error().message);
}

std::vector<SessionRecord> Store::sessions() {
  const std::lock_guard lock(mutex_);
  (void)Statement(*database_, "DELETE FROM sessions WHERE expires<=?").bind(now_()).run();
  Statement rows(*database_,
                 "SELECT token_sha256, session, serial, display_name, expires FROM sessions");
  std::vector<SessionRecord> out;
  while (rows.step()) {
    out.push_back({rows.text(0), static_cast<std::uint64_t>(rows.number(1)), rows.text(2),
                   rows.text(3), rows.number(4)});
  }
  return out;
}

Status Store::put_participant(const ParticipantRecord& record) {
  const std::lock_guard lock(mutex_);
  database_->set_durable(false);
  return Statement(*database_, "INSERT OR REPLACE INTO participants VALUES (?,?,?,?,?,?,?,?)")
      .bind(record.id)
      .bind(record.conference)
      .bind(static_cast<std::int64_t>(record.session))
      .bind(record.serial)
      .bind(record.name)
      .bind(record.chairperson)
      .bind(record.muted)
      .bind(record.may_unmute)
      .run();
}

void Store::remove_participant(const std::string& id) {
  const std::lock_guard lock(mutex_);
  database_->set_durable(false);
  const Status done = Statement(*database_, "DELETE FROM participants WHERE id=?").bind(id).run();
  if (!done) log::error(kLog, done.error().message);
}

std::vector<ParticipantRecord> Store::participants() {
  const std::lock_guard lock(mutex_);
  Statement rows(*database_,
                 "SELECT id, conference, session, serial, name, chairperson, muted, may_unmute "
                 "FROM participants");
  std::vector<ParticipantRecord> out;
  while (rows.step()) {
    out.push_back({rows.text(0), rows.text(1), static_cast<std::uint64_t>(rows.number(2)),
                   rows.text(3), rows.text(4), rows.flag(5), rows.flag(6), rows.flag(7)});
  }
  return out;
}

void Store::set_all_muted(const std::string& conference, bool muted) {
  const std::lock_guard lock(mutex_);
  database_->set_durable(false);
  const Status done = Statement(*database_, muted ? "INSERT OR REPLACE INTO all_muted VALUES (?)"
                                                  : "DELETE FROM all_muted WHERE conference=?")
                          .bind(conference)
                          .run();
  if (!done) log::error(kLog, done.error().message);
}

std::vector<std::string> Store::all_muted() {
  const std::lock_guard lock(mutex_);
  Statement rows(*database_, "SELECT conference FROM all_muted");
  std::vector<std::string> out;
  while (rows.step()) out.push_back(rows.text(0));
  return out;
}

}  // namespace conclave::service
