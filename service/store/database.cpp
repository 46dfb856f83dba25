// SPDX-License-Identifier: Apache-2.0
#include "service/store/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace conclave::service {
namespace {

constexpr int kBusyMs = 5000;  // somebody looks into the file with the sqlite3 shell

}  // namespace

Statement::Statement(Database& database, std::string_view sql) : database_(database) {
  note(sqlite3_prepare_v2(database_.handle_, sql.data(), static_cast<int>(sql.size()), &statement_,
                          nullptr));
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::note(int code) {
  if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE || !status_) return;
  status_ = database_.error("cannot use");
}

Statement& Statement::bind(std::string_view text) {
  // Copied: the caller's text may be gone before the last step. An empty view may point nowhere,
  // which would be NULL.
  note(sqlite3_bind_text(statement_, ++bound_, text.empty() ? "" : text.data(),
                         static_cast<int>(text.size()), SQLITE_TRANSIENT));
  return *this;
}

Statement& Statement::bind(std::int64_t number) {
  note(sqlite3_bind_int64(statement_, ++bound_, number));
  return *this;
}

bool Statement::step() {
  if (!status_) return false;
  const int code = sqlite3_step(statement_);
  note(code);
  return code == SQLITE_ROW;
}

Status Statement::run() {
  while (step()) {
  }
  return status_;
}

std::string Statement::text(int column) const {
  const auto* bytes = sqlite3_column_text(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (bytes == nullptr) return {};
  return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

std::int64_t Statement::number(int column) const {
  return sqlite3_column_int64(statement_, column);
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
  if (path != ":memory:") {
    // Made by us first: SQLite would make it readable by others, and gives its journals the mode
    // that the database has.
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || ::fchmod(fd, 0600) != 0) {
      const Error error{"cannot open " + path + ": " + std::strerror(errno) +
                        "; check the data folder's owner"};
      if (fd >= 0) ::close(fd);
      return error;
    }
    ::close(fd);
  }
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(
      path.c_str(), &handle,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW,
      nullptr);
  std::unique_ptr<Database> database(new Database(handle, path));
  if (code != SQLITE_OK) return database->error("cannot open");
  sqlite3_busy_timeout(handle, kBusyMs);
  // The file comes from a folder that others may have written to: no code out of its schema.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  CONCLAVE_CHECK_STATUS(
      database->execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
                        "PRAGMA foreign_keys=ON; PRAGMA cell_size_check=ON;"));
  return database;
}

Database::~Database() { sqlite3_close_v2(handle_); }

Status Database::execute(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return error("cannot use");
}

void Database::set_durable(bool durable) {
  if (durable == durable_) return;
  durable_ = durable;
  (void)execute(durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
}

Error Database::error(std::string_view what) const {
  return Error{std::string(what) + " " + path_ + ": " + sqlite3_errmsg(handle_) +
               "; check the data folder's owner and free space, or restore the file"};
}

Transaction::Transaction(Database& database)
    : database_(database), begun_(database.execute("BEGIN IMMEDIATE")), open_(begun_.ok()) {}

Transaction::~Transaction() {
  if (open_) (void)database_.execute("ROLLBACK");
}

Status Transaction::commit() {
  CONCLAVE_CHECK_STATUS(begun_);
  CONCLAVE_CHECK_STATUS(database_.execute("COMMIT"));
  open_ = false;
  return {};
}

}  // namespace conclave::service
