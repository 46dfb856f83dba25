// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "base/spsc_ring.h"

namespace conclave::log {

enum class Level { kDebug, kInfo, kWarning, kError };

/// One key and its value, as text. Values that a person must not read never become fields:
/// pass secrets to nothing here.
struct Field {
  std::string_view key;
  std::string value;

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, bool v) : key(k), value(v ? "true" : "false") {}
  Field(std::string_view k, int v) : key(k), value(std::to_string(v)) {}
  Field(std::string_view k, unsigned v) : key(k), value(std::to_string(v)) {}
  Field(std::string_view k, long v) : key(k), value(std::to_string(v)) {}
  Field(std::string_view k, unsigned long v) : key(k), value(std::to_string(v)) {}
  Field(std::string_view k, long long v) : key(k), value(std::to_string(v)) {}
  Field(std::string_view k, double v) : key(k), value(std::to_string(v)) {}
};

/// Writes one line to standard error (journald picks it up): time, level, component, message and
/// key=value pairs, values quoted and control characters escaped. Any thread but a real-time one.
void write(Level level, std::string_view component, std::string_view message,
           std::initializer_list<Field> fields = {});

inline void debug(std::string_view c, std::string_view m, std::initializer_list<Field> f = {}) {
  write(Level::kDebug, c, m, f);
}
inline void info(std::string_view c, std::string_view m, std::initializer_list<Field> f = {}) {
  write(Level::kInfo, c, m, f);
}
inline void warning(std::string_view c, std::string_view m, std::initializer_list<Field> f = {}) {
  write(Level::kWarning, c, m, f);
}
inline void error(std::string_view c, std::string_view m, std::initializer_list<Field> f = {}) {
  write(Level::kError, c, m, f);
}

/// Least level that is written; default kInfo.
void set_level(Level level);
/// Also append to a file (empty: stop). Returns false when it cannot be opened.
bool set_file(const std::string& path);

/// The way out for the audio thread: a fixed-size record on a lock-free queue. `event` must be a
/// string literal; numbers only. A full queue drops the record and counts it.
class RealtimeLog {
 public:
  struct Record {
    const char* event = nullptr;
    std::int64_t time_ns = 0;
    double a = 0, b = 0;
  };
  explicit RealtimeLog(std::size_t capacity = 256) : records_(capacity) {}
  /// Real-time thread.
  void post(const char* event, std::int64_t time_ns, double a = 0, double b = 0) noexcept {
    if (!records_.try_push({event, time_ns, a, b})) ++dropped_;
  }
  /// Another thread, regularly: writes out what has come.
  void drain(std::string_view component);

 private:
  SpscRing<Record> records_;
  std::atomic<std::uint64_t> dropped_{0};
  std::uint64_t told_ = 0;
};

}  // namespace conclave::log
