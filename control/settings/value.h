// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "control/settings/catalogue.h"

namespace conclave::control {

/// A setting's value: bool, whole number, text, or list of texts (set, list). Everything with text
/// form (enum, url, host, ...) is text.
using Value = std::variant<bool, std::int64_t, std::string, std::vector<std::string>>;

/// Checks `json` against the row and makes a value of it. Text forms are taken too ("true", "15",
/// "a,b"), because provisioning files and command lines have nothing else. The message says what is
/// wrong and what would be right, and never repeats a secret.
Result<Value> parse_value(const SettingRow& row, const nlohmann::json& json);
/// The same from text.
Result<Value> parse_value_text(const SettingRow& row, std::string_view text);
/// The factory value of the row.
const Value& default_value(const SettingRow& row);

nlohmann::json to_json(const Value& value);
/// One line for a person: true, 15, a,b.
std::string to_text(const Value& value);

/// True for a plain IPv4 or IPv6 address.
bool is_ip_address(std::string_view text);
/// True for a DNS name of at most 253 bytes.
bool is_dns_name(std::string_view text);
/// True for local@domain with a dot in the domain.
bool is_email(std::string_view text);

}  // namespace conclave::control
