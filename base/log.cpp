// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>

#include "base/realtime.h"

namespace conclave::log {
namespace {

std::atomic<int> least{static_cast<int>(Level::kInfo)};
std::mutex mutex;
std::FILE* file = nullptr;

const char* name(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
  }
  return "?";
}

// Outside data must not be able to forge a line of the log or to move the terminal's cursor.
void append_escaped(fmt::memory_buffer& out, std::string_view text, bool quote) {
  if (quote) out.push_back('"');
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u == 0x7f) {
      fmt::format_to(fmt::appender(out), "\\x{:02x}", u);
    } else {
      if (quote && (c == '"' || c == '\\')) out.push_back('\\');
      out.push_back(c);
    }
  }
  if (quote) out.push_back('"');
}

bool plain(std::string_view text) {
  return !text.empty() && text.find_first_of(" \"=\\") == std::string_view::npos;
}

}  // namespace

void set_level(Level level) { least.store(static_cast<int>(level)); }

bool set_file(const std::string& path) {
  const std::lock_guard lock(mutex);
  if (file != nullptr) std::fclose(file);
  file = path.empty() ? nullptr : std::fopen(path.c_str(), "ae");
  return path.empty() || file != nullptr;
}

void write(Level level, std::string_view component, std::string_view message,
           std::initializer_list<Field> fields) {
  realtime::check("log");
  if (static_cast<int>(level) < least.load(std::memory_order_relaxed)) return;
  const auto now = std::chrono::system_clock::now();
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()) % 1000;
  fmt::memory_buffer line;
  fmt::format_to(fmt::appender(line), "{:%Y-%m-%dT%H:%M:%S}.{:03}Z {:<7} {}: ",
                 fmt::gmtime(std::chrono::system_clock::to_time_t(now)), ms.count(), name(level),
                 component);
  append_escaped(line, message, false);
  for (const auto& field : fields) {
    fmt::format_to(fmt::appender(line), " {}=", field.key);
    append_escaped(line, field.value, !plain(field.value));
  }
  line.push_back('\n');
  const std::lock_guard lock(mutex);
  std::fwrite(line.data(), 1, line.size(), stderr);
  if (file != nullptr) {
    std::fwrite(line.data(), 1, line.size(), file);
    std::fflush(file);
  }
}

void RealtimeLog::drain(std::string_view component) {
  Record record;
  while (records_.try_pop(record)) {
    info(component, record.event,
         {{"t_ns", static_cast<long long>(record.time_ns)}, {"a", record.a}, {"b", record.b}});
  }
  const auto dropped = dropped_.load(std::memory_order_relaxed);
  if (dropped != told_) {
    warning(component, "real-time log overflowed",
            {{"dropped", static_cast<unsigned long>(dropped - told_)}});
    told_ = dropped;
  }
}

}  // namespace conclave::log
