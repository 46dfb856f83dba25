// SPDX-License-Identifier: Apache-2.0
#include "control/settings/value.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

namespace conclave::control {
namespace {

using Json = nlohmann::json;

Error wrong(const SettingRow& row, std::string_view what) {
  std::string message(row.title);
  message += " (";
  message += row.name;
  message += ") ";
  message += what;
  return Error{std::move(message)};
}

std::string joined(std::span<const std::string_view> values) {
  std::string out;
  for (const std::string_view v : values) {
    if (!out.empty()) out += ", ";
    out += v;
  }
  return out;
}

bool printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return (u < 0x20 && c != '\n' && c != '\t') || u == 0x7f;
  });
}

/// nlohmann::json throws on dumping broken UTF-8, so none may come in.
bool valid_utf8(std::string_view s) {
  for (std::size_t i = 0; i < s.size();) {
    const auto c = static_cast<unsigned char>(s[i]);
    std::size_t more = 0;
    std::uint32_t code = 0;
    if (c < 0x80) {
      ++i;
      continue;
    }
    if (c >= 0xc2 && c <= 0xdf) {
      more = 1;
      code = c & 0x1fU;
    } else if (c >= 0xe0 && c <= 0xef) {
      more = 2;
      code = c & 0x0fU;
    } else if (c >= 0xf0 && c <= 0xf4) {
      more = 3;
      code = c & 0x07U;
    } else {
      return false;
    }
    if (i + more >= s.size()) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      const auto d = static_cast<unsigned char>(s[i + k]);
      if ((d & 0xc0) != 0x80) return false;
      code = code << 6 | (d & 0x3fU);
    }
    if ((more == 2 && (code < 0x800 || (code >= 0xd800 && code <= 0xdfff))) ||
        (more == 3 && (code < 0x10000 || code > 0x10ffff))) {
      return false;
    }
    i += more + 1;
  }
  return true;
}

bool is_ipv4(std::string_view text) {
  std::array<unsigned char, 4> address{};
  return inet_pton(AF_INET, std::string(text).c_str(), address.data()) == 1;
}

bool is_netmask(std::string_view text) {
  in_addr address{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return false;
  const std::uint32_t mask = ntohl(address.s_addr);
  return mask != 0 && (~mask & (~mask + 1)) == 0;
}

bool is_url(std::string_view text, std::string_view schemes) {
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) return false;
  std::string scheme(text.substr(0, colon));
  std::transform(scheme.begin(), scheme.end(), scheme.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  });
  bool known = false;
  for (std::size_t at = 0; at <= schemes.size();) {
    const std::size_t comma = std::min(schemes.find(',', at), schemes.size());
    known |= schemes.substr(at, comma - at) == scheme;
    at = comma + 1;
  }
  if (!known || text.find_first_of(" \"<>\\^`{|}\t\n") != std::string_view::npos) return false;
  std::string_view rest = text.substr(colon + 3);
  std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  // A password in an address would end up in logs.
  if (authority.find('@') != std::string_view::npos) return false;
  std::string_view port;
  if (!authority.empty() && authority.front() == '[') {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos || !is_ip_address(authority.substr(1, end - 1))) return false;
    if (end + 1 < authority.size()) {
      if (authority[end + 1] != ':') return false;
      port = authority.substr(end + 2);
      if (port.empty()) return false;
    }
  } else {
    const std::size_t at = authority.find(':');
    if (at != std::string_view::npos) {
      port = authority.substr(at + 1);
      if (port.empty()) return false;
      authority = authority.substr(0, at);
    }
    if (!is_dns_name(authority) && !is_ip_address(authority)) return false;
  }
  if (!port.empty()) {
    unsigned number = 0;
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (ec != std::errc{} || end != port.data() + port.size() || number == 0 || number > 65535) {
      return false;
    }
  }
  return true;
}

Result<Value> parse_number(const SettingRow& row, std::int64_t n) {
  if (n < row.min || n > row.max) {
    const std::string unit = row.unit.empty() ? "" : " " + std::string(row.unit);
    return wrong(
        row, "must be from " + std::to_string(row.min) + " to " + std::to_string(row.max) + unit);
  }
  return Value(n);
}

Result<Value> parse_list(const SettingRow& row, std::vector<std::string> items) {
  for (const std::string& item : items) {
    if (item.empty()) return wrong(row, "must not hold empty entries");
    if (item.size() > row.max_length) return wrong(row, "holds an entry that is too long");
    if (!printable(item) || item.find(',') != std::string::npos || !valid_utf8(item)) {
      return wrong(row, "must hold printable text without commas");
    }
    if (std::count(items.begin(), items.end(), item) > 1) return wrong(row, "holds an entry twice");
    if (row.type == Type::kSet &&
        std::find(row.values.begin(), row.values.end(), item) == row.values.end()) {
      return wrong(row, "must hold some of: " + joined(row.values));
    }
  }
  if (row.type == Type::kList && static_cast<std::int64_t>(items.size()) > row.max) {
    return wrong(row, "must have at most " + std::to_string(row.max) + " entries");
  }
  return Value(std::move(items));
}

Result<Value> parse_string(const SettingRow& row, const std::string& text) {
  if (text.size() > row.max_length) {
    return wrong(row, "must have at most " + std::to_string(row.max_length) + " characters");
  }
  if (!valid_utf8(text)) return wrong(row, "must be UTF-8 text");
  if (!printable(text)) return wrong(row, "must be printable text");
  const bool empty = text.empty();
  switch (row.type) {
    case Type::kEnum:
      if (std::find(row.values.begin(), row.values.end(), text) == row.values.end()) {
        return wrong(row, "must be one of: " + joined(row.values));
      }
      break;
    case Type::kUrl:
      if (!empty && !is_url(text, row.schemes)) {
        return wrong(row, "must be an address such as " +
                              std::string(row.schemes.substr(0, row.schemes.find(','))) +
                              "://host/path, without user or password");
      }
      break;
    case Type::kHost:
      if (!empty && !is_ip_address(text) && !is_dns_name(text)) {
        return wrong(row, "must be an IP address or a host name");
      }
      break;
    case Type::kIpv4:
      if (!empty && !is_ipv4(text)) return wrong(row, "must be an IPv4 address such as 192.0.2.7");
      break;
    case Type::kNetmask:
      if (!empty && !is_netmask(text)) {
        return wrong(row, "must be a subnet mask such as 255.255.255.0");
      }
      break;
    case Type::kDomain:
      if (!empty && !is_dns_name(text)) return wrong(row, "must be a domain such as example.com");
      break;
    case Type::kEmail:
      if (!empty && !is_email(text)) return wrong(row, "must be an e-mail address");
      break;
    case Type::kFile:
      if (!empty && text.front() != '/') return wrong(row, "must be a full path, beginning with /");
      break;
    case Type::kPassword:
      if (static_cast<std::int64_t>(text.size()) < row.min) {
        return wrong(row, "must have at least " + std::to_string(row.min) + " characters");
      }
      break;
    default:
      break;
  }
  return Value(text);
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    items.emplace_back(item);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return items;
}

}  // namespace

bool is_ip_address(std::string_view text) {
  std::array<unsigned char, 16> address{};
  return is_ipv4(text) || inet_pton(AF_INET6, std::string(text).c_str(), address.data()) == 1;
}

bool is_dns_name(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  bool digits_only = true;
  while (!text.empty()) {
    const std::size_t dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') {
      return false;
    }
    for (const char c : label) {
      const bool digit = c >= '0' && c <= '9';
      if (!digit && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_') {
        return false;
      }
      digits_only &= digit;
    }
    if (dot == std::string_view::npos) break;
    text = text.substr(dot + 1);
    if (text.empty()) return false;
  }
  // 1.2.3 or 300.1.1.1 are slips of an IP address, not names.
  return !digits_only;
}

bool is_email(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == std::string_view::npos || at == 0 || at > 64 || text.size() > 254) return false;
  const std::string_view local = text.substr(0, at);
  const std::string_view domain = text.substr(at + 1);
  if (local.front() == '.' || local.back() == '.' || local.find("..") != std::string_view::npos) {
    return false;
  }
  for (const char c : local) {
    const auto u = static_cast<unsigned char>(c);
    if (u <= 0x20 || u == 0x7f ||
        std::string_view("\"(),:;<>[\\]").find(c) != std::string_view::npos)
      return false;
  }
  return domain.find('.') != std::string_view::npos && is_dns_name(domain);
}

Result<Value> parse_value(const SettingRow& row, const Json& json) {
  switch (row.type) {
    case Type::kBool:
      if (json.is_boolean()) return Value(json.get<bool>());
      break;
    case Type::kInt:
    case Type::kPort:
      if (json.is_number_unsigned() && json.get<std::uint64_t>() > INT64_MAX) {
        return parse_number(row, INT64_MAX);
      }
      if (json.is_number_integer()) return parse_number(row, json.get<std::int64_t>());
      if (json.is_number()) return wrong(row, "must be a whole number");
      break;
    case Type::kSet:
    case Type::kList:
      if (json.is_array()) {
        std::vector<std::string> items;
        for (const Json& item : json) {
          if (!item.is_string()) return wrong(row, "must be a list of texts");
          items.push_back(item.get<std::string>());
        }
        return parse_list(row, std::move(items));
      }
      break;
    default:
      if (json.is_string()) return parse_string(row, json.get_ref<const std::string&>());
      if (row.type == Type::kEnum && json.is_number_integer()) {
        return parse_string(row, std::to_string(json.get<std::int64_t>()));
      }
      break;
  }
  if (json.is_string()) return parse_value_text(row, json.get_ref<const std::string&>());
  return wrong(row, "must be of type " + std::string(name_of(row.type)));
}

Result<Value> parse_value_text(const SettingRow& row, std::string_view text) {
  switch (row.type) {
    case Type::kBool:
      if (text == "true" || text == "1" || text == "on" || text == "yes") return Value(true);
      if (text == "false" || text == "0" || text == "off" || text == "no") return Value(false);
      return wrong(row, "must be true or false");
    case Type::kInt:
    case Type::kPort: {
      std::int64_t n = 0;
      const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
      if (ec != std::errc{} || end != text.data() + text.size()) {
        return wrong(row, "must be a whole number");
      }
      return parse_number(row, n);
    }
    case Type::kSet:
    case Type::kList:
      return parse_list(row, split(text));
    default:
      return parse_string(row, std::string(text));
  }
}

const Value& default_value(const SettingRow& row) {
  // Factory values may be weaker than what people may set (the password), so they are not checked.
  static const std::vector<Value> values = [] {
    std::vector<Value> all;
    for (const SettingRow& r : settings_catalogue()) {
      switch (r.type) {
        case Type::kBool:
          all.emplace_back(r.default_text == "true");
          break;
        case Type::kInt:
        case Type::kPort: {
          std::int64_t n = 0;
          std::from_chars(r.default_text.data(), r.default_text.data() + r.default_text.size(), n);
          all.emplace_back(n);
          break;
        }
        case Type::kSet:
        case Type::kList:
          all.emplace_back(split(r.default_text));
          break;
        default:
          all.emplace_back(std::string(r.default_text));
      }
    }
    return all;
  }();
  return values[static_cast<std::size_t>(row.key)];
}

Json to_json(const Value& value) {
  return std::visit([](const auto& v) { return Json(v); }, value);
}

std::string to_text(const Value& value) {
  if (const bool* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const auto* n = std::get_if<std::int64_t>(&value)) return std::to_string(*n);
  if (const auto* s = std::get_if<std::string>(&value)) return *s;
  std::string out;
  for (const std::string& item : std::get<std::vector<std::string>>(value)) {
    if (!out.empty()) out += ',';
    out += item;
  }
  return out;
}

}  // namespace conclave::control
