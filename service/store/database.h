// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace conclave::service {

class Database;

/// One prepared statement: values are bound, never pasted into the text. Bound from left to right
/// by `bind`, read from column 0 on. Not thread-safe, and not to outlive its database.
class Statement {
 public:
  Statement(Database& database, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(std::string_view text);
  Statement& bind(std::int64_t number);
  Statement& bind(bool yes) { return bind(static_cast<std::int64_t>(yes)); }
  // A literal would become a bool.
  Statement& bind(const char* text) { return bind(std::string_view(text)); }

  /// True: there is a row. False: no (more) rows, or an error; status() tells.
  bool step();
  /// Runs to the end; for what gives no rows.
  Status run();
  const Status& status() const { return status_; }

  std::string text(int column) const;
  std::int64_t number(int column) const;
  bool flag(int column) const { return number(column) != 0; }

 private:
  void note(int code);

  Database& database_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
  Status status_{};
};

/// An SQLite file, opened for one process: WAL, foreign keys, mode 0600 for it and what belongs to
/// it. Not thread-safe.
class Database {
 public:
  /// `path` ":memory:" for one that is gone with the object.
  static Result<std::unique_ptr<Database>> open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Statements without values, such as of a migration.
  Status execute(const std::string& sql);
  /// true: what is committed from now on survives a power cut; false: a kill of the process alone.
  void set_durable(bool durable);
  /// What went wrong last, with the file's name.
  Error error(std::string_view what) const;

 private:
  friend class Statement;
  Database(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}

  sqlite3* handle_;
  const std::string path_;
  bool durable_ = true;
};

/// All or nothing: rolled back unless commit() was called.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  Status commit();

 private:
  Database& database_;
  Status begun_;
  bool open_;
};

}  // namespace conclave::service
