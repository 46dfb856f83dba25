// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "control/settings/keys.h"

namespace conclave::control {

enum class Type {
  kBool,
  kInt,       ///< min..max, in `unit`
  kString,    ///< at most max_length bytes of printable UTF-8
  kEnum,      ///< one of `values`
  kSet,       ///< any of `values`, each once
  kList,      ///< at most `max` free strings
  kUrl,       ///< of one of `schemes`, with a host
  kHost,      ///< IPv4, IPv6 or DNS name
  kPort,      ///< min..max
  kIpv4,      ///< dotted quad
  kNetmask,   ///< dotted quad of leading ones
  kDomain,    ///< DNS name
  kEmail,     ///< local@domain
  kFile,      ///< absolute path
  kPassword,  ///< at least `min` characters; kept as an argon2id hash
};
enum class Kind {
  kSetting,  ///< kept
  kState,    ///< read-only for people
  kPerCall,  ///< comes with a call; never kept
};
/// What has to start anew before a changed value counts.
enum class Restart { kNone, kCall, kReboot };

/// One row of control/settings/catalogue.json. All text is static.
struct SettingRow {
  Key key{};
  std::string_view name, title;
  Type type{};
  Kind kind{};
  std::int64_t min = 0, max = 0;
  std::size_t max_length = 256;
  std::string_view unit;
  std::span<const std::string_view> values;
  std::string_view schemes;
  std::string_view default_text;
  bool secret = false;
  Restart restart{};
  std::string_view group, place, help;
  std::string_view owner;  ///< the component that acts on it
  std::span<const std::string_view> aliases;
  std::span<const std::string_view> guide;  ///< sections of the configuration guide
  bool named_in_guide = false;
  std::string_view note;
};

/// All rows, in the order of Key. Any thread.
std::span<const SettingRow> settings_catalogue();
const SettingRow& row_of(Key key);
/// By name or alias, in any case; null when there is none.
const SettingRow* find_setting(std::string_view name);

std::string_view name_of(Type type);
std::string_view name_of(Kind kind);
std::string_view name_of(Restart restart);

}  // namespace conclave::control
