// SPDX-License-Identifier: Apache-2.0
#include "control/provisioning/lease_options.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "control/settings/value.h"

namespace conclave::control {
namespace {

constexpr std::size_t kMaxOption = 1024;
constexpr int kVendor = 43;
constexpr unsigned char kVendorAddress = 1;

std::optional<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  const auto nibble = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = nibble(hex[i]);
    const int low = nibble(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

/// The sub-option that holds the address; empty when these are no sub-options or it is not there.
std::string vendor_address(std::string_view bytes) {
  std::string found;
  while (!bytes.empty()) {
    const auto code = static_cast<unsigned char>(bytes[0]);
    if (code == 255) break;
    if (code == 0) {
      bytes.remove_prefix(1);
      continue;
    }
    if (bytes.size() < 2) return {};
    const auto size = static_cast<unsigned char>(bytes[1]);
    if (bytes.size() < 2U + size) return {};
    if (code == kVendorAddress) found = bytes.substr(2, size);
    bytes.remove_prefix(2U + size);
  }
  return found;
}

std::string cleaned(std::string text) {
  // Some servers end texts by a zero byte.
  while (!text.empty() && (text.back() == '\0' || text.back() == ' ')) text.pop_back();
  return text;
}

}  // namespace

bool usable_server_address(const std::string& address) {
  constexpr std::string_view kScheme = "https://";
  if (address.size() > 512 || !address.starts_with(kScheme)) return false;
  for (const char c : address) {
    const auto u = static_cast<unsigned char>(c);
    if (u <= 0x20 || u >= 0x7f || std::string_view("\"<>\\^`{|}@?#").find(c) != std::string::npos) {
      return false;
    }
  }
  const char first = address.size() > kScheme.size() ? address[kScheme.size()] : '/';
  return first != '/' && first != ':';
}

Result<LeaseOptions> parse_lease_options(const nlohmann::json& json) {
  LeaseOptions lease;
  if (!json.is_object()) return Error{"a lease is a JSON object"};
  for (const auto& [key, value] : json.items()) {
    if (key == "domain") {
      if (!value.is_string() || (!value.get<std::string>().empty() &&
                                 !is_dns_name(value.get_ref<const std::string&>()))) {
        return Error{"domain must be a domain's name"};
      }
      lease.domain = value.get<std::string>();
    } else if (key == "dns") {
      if (!value.is_array() || value.size() > 8) return Error{"dns is a list of up to 8 addresses"};
      for (const auto& item : value) {
        if (!item.is_string() || item.get_ref<const std::string&>().size() > 64 ||
            item.get_ref<const std::string&>().find_first_not_of("0123456789abcdefABCDEF.:[]%") !=
                std::string::npos) {
          return Error{"dns is a list of up to 8 addresses"};
        }
        lease.dns.push_back(item.get<std::string>());
      }
    } else if (key == "options") {
      if (!value.is_object()) return Error{"options is an object of numbers and texts"};
      for (const auto& [number, item] : value.items()) {
        if (number.empty() || number.size() > 3 ||
            number.find_first_not_of("0123456789") != std::string::npos || !item.is_string()) {
          return Error{"options is an object of numbers and texts"};
        }
        auto bytes = std::optional(item.get<std::string>());
        if (bytes->starts_with("hex:")) bytes = from_hex(std::string_view(*bytes).substr(4));
        if (!bytes || bytes->size() > kMaxOption) {
          return Error{"option " + number + " is longer than 1024 bytes or no hexadecimal number"};
        }
        lease.options[std::stoi(number)] = std::move(*bytes);
      }
    }
  }
  return lease;
}

std::vector<LocalServer> servers_of(const LeaseOptions& lease, std::vector<std::string>* notes) {
  std::vector<LocalServer> servers;
  for (const int number : {160, 66, kVendor}) {
    const auto at = lease.options.find(number);
    if (at == lease.options.end() || at->second.empty()) continue;
    std::string text = at->second;
    if (number == kVendor && !text.starts_with("https://")) text = vendor_address(text);
    text = cleaned(std::move(text));
    const std::string name = "DHCP option " + std::to_string(number);
    if (is_dns_name(text) || is_ip_address(text)) {
      text = "https://" + (text.find(':') != std::string::npos ? "[" + text + "]" : text) +
             "/provisioning";
    }
    if (!usable_server_address(text)) {
      if (notes != nullptr) notes->push_back(name + " holds no https address");
      continue;
    }
    const bool again = std::any_of(servers.begin(), servers.end(),
                                   [&text](const LocalServer& s) { return s.address == text; });
    if (!again) servers.push_back({text, name, false});
  }
  return servers;
}

}  // namespace conclave::control
