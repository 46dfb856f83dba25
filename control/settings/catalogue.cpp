// SPDX-License-Identifier: Apache-2.0
#include "control/settings/catalogue.h"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace conclave::control {
namespace {

#include "control/settings/catalogue_table.inc"

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

std::unordered_map<std::string, const SettingRow*> make_index() {
  std::unordered_map<std::string, const SettingRow*> index;
  for (const SettingRow& row : kRows) {
    index.emplace(lower(row.name), &row);
    for (const std::string_view alias : row.aliases) index.emplace(lower(alias), &row);
  }
  return index;
}

}  // namespace

std::span<const SettingRow> settings_catalogue() { return kRows; }

const SettingRow& row_of(Key key) { return kRows[static_cast<std::size_t>(key)]; }

const SettingRow* find_setting(std::string_view name) {
  static const auto index = make_index();
  const auto found = index.find(lower(name));
  return found == index.end() ? nullptr : found->second;
}

std::string_view name_of(Type type) {
  static constexpr std::string_view kNames[] = {"bool",    "int",    "string", "enum", "set",
                                                "list",    "url",    "host",   "port", "ipv4",
                                                "netmask", "domain", "email",  "file", "password"};
  return kNames[static_cast<std::size_t>(type)];
}
std::string_view name_of(Kind kind) {
  static constexpr std::string_view kNames[] = {"setting", "state", "per_call"};
  return kNames[static_cast<std::size_t>(kind)];
}
std::string_view name_of(Restart restart) {
  static constexpr std::string_view kNames[] = {"none", "call", "reboot"};
  return kNames[static_cast<std::size_t>(restart)];
}

}  // namespace conclave::control
