// SPDX-License-Identifier: Apache-2.0
#include "service/store/schema.h"

namespace conclave::service {
namespace {

constexpr const char* kMigrations[] = {
    // 1: phones, meetings, and the running ones.
    R"(
CREATE TABLE phones(
  serial TEXT PRIMARY KEY,
  basis TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'inactive', 'deactivated')),
  token_sha256 TEXT NOT NULL,
  since INTEGER NOT NULL,
  written INTEGER NOT NULL,
  pin TEXT NOT NULL,
  pin_expires INTEGER NOT NULL,
  certificate TEXT NOT NULL,
  first_state TEXT NOT NULL CHECK (first_state IN ('active', 'inactive', 'deactivated'))
) STRICT;
CREATE TABLE seen(
  serial TEXT PRIMARY KEY,
  at INTEGER NOT NULL,
  peer TEXT NOT NULL,
  model TEXT NOT NULL,
  version TEXT NOT NULL
) STRICT;
CREATE TABLE reports(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  serial TEXT NOT NULL,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX reports_of_phone ON reports(serial, number);
CREATE TABLE meetings(
  id TEXT PRIMARY KEY,
  basis TEXT NOT NULL,
  deleted INTEGER NOT NULL,
  entry TEXT NOT NULL
) STRICT;
CREATE TABLE sessions(
  token_sha256 TEXT PRIMARY KEY,
  session INTEGER NOT NULL,
  serial TEXT NOT NULL,
  display_name TEXT NOT NULL,
  expires INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_of_phone ON sessions(serial);
CREATE TABLE participants(
  id TEXT PRIMARY KEY,
  conference TEXT NOT NULL,
  session INTEGER NOT NULL,
  serial TEXT NOT NULL,
  name TEXT NOT NULL,
  chairperson INTEGER NOT NULL,
  muted INTEGER NOT NULL,
  may_unmute INTEGER NOT NULL
) STRICT;
CREATE TABLE all_muted(conference TEXT PRIMARY KEY) STRICT;
CREATE TABLE imports(file TEXT PRIMARY KEY, sha256 TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
)",
};

}  // namespace

std::span<const char* const> migrations() { return kMigrations; }

}  // namespace conclave::service
