// SPDX-License-Identifier: Apache-2.0
#include "control/provider/profile_reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "control/rpc/dispatcher.h"

namespace conclave::control::provider {
namespace {

constexpr std::string_view kSchema = "conclave-provider/1";
constexpr std::size_t kMaxFaults = 5;
constexpr std::size_t kMaxDepth = 8;
constexpr std::size_t kMaxTexts = 40, kMaxContacts = 32, kMaxRules = 128, kMaxSettings = 64;

/// The addresses a profile gives by their own names, and the settings they are.
constexpr std::pair<const char*, Key> kAddresses[] = {
    {"call_control", Key::kDvmsServerAddress},
    {"console", Key::kProvisioningConsoleUrl},
    {"provisioning", Key::kProvisioningServerAddress},
};

bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

bool is_file_name(std::string_view name) {
  return name.front() != '.' && (name.ends_with(".svg") || name.ends_with(".png")) &&
         name.find_first_of("/\\") == std::string_view::npos;
}

bool is_number(std::string_view text, unsigned most, unsigned* number) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return !text.empty() && ec == std::errc{} && end == text.data() + text.size() && *number <= most;
}

/// "443", "443,5061", "10000-20000".
bool are_ports(std::string_view text) {
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    const std::size_t dash = item.find('-');
    unsigned low = 0;
    if (!is_number(item.substr(0, dash), 65535, &low) || low == 0) return false;
    if (unsigned high = 0; dash != std::string_view::npos &&
                           (!is_number(item.substr(dash + 1), 65535, &high) || high < low)) {
      return false;
    }
    if (comma == std::string_view::npos) return true;
    text = text.substr(comma + 1);
  }
}

bool is_destination(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    const std::string_view address = text.substr(0, slash);
    unsigned prefix = 0;
    const unsigned most = address.find(':') == std::string_view::npos ? 32 : 128;
    return is_ip_address(address) && is_number(text.substr(slash + 1), most, &prefix);
  }
  if (text.starts_with("*.")) text.remove_prefix(2);
  return is_ip_address(text) || is_dns_name(text);
}

std::string host_of(std::string_view url) {
  const std::size_t begin = url.find("://");
  if (begin == std::string_view::npos) return {};
  url = url.substr(begin + 3);
  const std::size_t end = url.front() == '[' ? url.find(']') + 1 : url.find_first_of(":/?#");
  return std::string(url.substr(0, end));
}

bool covers(std::string_view destination, std::string_view host) {
  if (destination.starts_with("*.")) return host.ends_with(destination.substr(1));
  return destination == host;
}

}  // namespace

void Reader::fault(const std::string& where, const std::string& why) {
  if (faults_.size() < kMaxFaults) faults_.push_back(where + " " + why);
}

void Reader::only(const Json& object, const std::string& where,
                  std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    if (profile_.notes.size() < 20) {
      profile_.notes.push_back((where.empty() ? "" : where + ".") + key.substr(0, 64) +
                               " is not known and was read over");
    }
  }
}

const Reader::Json* Reader::part(const Json& object, const std::string& where, const char* name,
                                 bool list, std::size_t max_items) {
  const auto at = object.find(name);
  if (at == object.end()) return nullptr;
  const std::string full = (where.empty() ? "" : where + ".") + name;
  if (list ? !at->is_array() : !at->is_object()) {
    fault(full, list ? "must be a list: [ ... ]" : "must be an object: { ... }");
    return nullptr;
  }
  if (at->size() > max_items) {
    fault(full, "must have at most " + std::to_string(max_items) + " entries");
    return nullptr;
  }
  return &*at;
}

std::string Reader::text(const Json& object, const std::string& where, const char* name,
                         std::size_t max_bytes, bool required) {
  const auto at = object.find(name);
  const std::string full = (where.empty() ? "" : where + ".") + name;
  if (at == object.end()) {
    if (required) fault(full, "is missing");
    return {};
  }
  if (!at->is_string()) {
    fault(full, "must be a text in quotation marks");
    return {};
  }
  const auto& words = at->get_ref<const std::string&>();
  if (words.size() > max_bytes) {
    fault(full, "must have at most " + std::to_string(max_bytes) + " bytes");
    return {};
  }
  // Shown on one line, and sometimes in a log.
  if (std::any_of(words.begin(), words.end(),
                  [](char c) { return (static_cast<unsigned char>(c) < 0x20) || c == 0x7f; })) {
    fault(full, "must be printable text on one line");
    return {};
  }
  if (required && words.empty()) fault(full, "must not be empty");
  return words;
}

std::string Reader::page(const Json& object, const std::string& where, const char* name) {
  std::string url = text(object, where, name, 512, false);
  SettingRow row;
  row.type = Type::kUrl;
  row.max_length = 512;
  row.schemes = "https,http";
  if (!url.empty() && !parse_value_text(row, url)) {
    fault(where + "." + name, "must be an address such as https://host/path");
  }
  return url;
}

void Reader::read_head(const Json& root) {
  only(root, "",
       {"schema", "id", "name", "service", "logo", "addresses", "settings", "texts", "support",
        "firewall"});
  if (const std::string schema = text(root, "", "schema", 64, true);
      !schema.empty() && schema != kSchema) {
    fault("schema", "must be \"" + std::string(kSchema) + "\"");
  }
  profile_.id = text(root, "", "id", 64, true);
  if (!profile_.id.empty() && !is_word(profile_.id)) {
    fault("id", "must be of small letters, digits, - and _");
  }
  profile_.name = text(root, "", "name", 128, true);
  profile_.service = text(root, "", "service", 128, true);
  profile_.logo = text(root, "", "logo", 128, false);
  if (!profile_.logo.empty() && !is_file_name(profile_.logo)) {
    fault("logo", "must be the name of an .svg or .png file beside the profile, without a path");
  }
}

void Reader::add_setting(const std::string& where, const std::string& name, const Json& value) {
  const SettingRow* row = find_setting(name);
  if (row == nullptr) return fault(where, "is not a setting of this phone");
  // The profile is shown to everybody who may look at the phone.
  if (row->secret || row->type == Type::kPassword)
    return fault(where, "is secret: not for a profile");
  if (row->kind != Kind::kSetting || row->owner == "provider") {
    return fault(where, "cannot be set by a profile");
  }
  const auto parsed = parse_value(*row, value);
  if (!parsed) return fault(where + ":", parsed.error().message);
  if (!profile_.settings.emplace(std::string(row->name), to_json(*parsed)).second) {
    fault(where, "is given twice, as " + std::string(row->name));
  }
}

void Reader::read_settings(const Json& root) {
  if (const Json* addresses = part(root, "", "addresses", false, 16)) {
    only(*addresses, "addresses", {"call_control", "console", "provisioning"});
    for (const auto& [name, key] : kAddresses) {
      const auto at = addresses->find(name);
      if (at != addresses->end()) {
        add_setting(std::string("addresses.") + name, std::string(row_of(key).name), *at);
      }
    }
  }
  if (const Json* settings = part(root, "", "settings", false, kMaxSettings)) {
    for (const auto& [name, value] : settings->items()) {
      add_setting("settings." + name.substr(0, 64), name, value);
    }
  }
}

void Reader::read_texts(const Json& root) {
  const Json* texts = part(root, "", "texts", false, kMaxTexts);
  if (texts == nullptr) return;
  for (const auto& item : texts->items()) {
    if (!is_word(item.key()) || item.key().size() > 64) {
      fault("texts", "must have names of small letters, digits, - and _");
      continue;
    }
    profile_.texts[item.key()] = text(*texts, "texts", item.key().c_str(), 512, false);
  }
}

void Reader::read_support(const Json& root) {
  const Json* contacts = part(root, "", "support", true, kMaxContacts);
  if (contacts == nullptr) return;
  for (std::size_t i = 0; i < contacts->size(); ++i) {
    const Json& item = (*contacts)[i];
    const std::string where = "support[" + std::to_string(i) + "]";
    if (!item.is_object()) {
      fault(where, "must be an object: { ... }");
      continue;
    }
    only(item, where, {"region", "email", "phone", "page"});
    SupportContact contact;
    contact.region = text(item, where, "region", 128, true);
    contact.email = text(item, where, "email", 254, false);
    if (!contact.email.empty() && !is_email(contact.email)) {
      fault(where + ".email", "must be an e-mail address");
    }
    contact.phone = text(item, where, "phone", 64, false);
    contact.page = page(item, where, "page");
    if (contact.email.empty() && contact.phone.empty() && contact.page.empty()) {
      fault(where, "must have an email, a phone or a page");
    }
    profile_.support.push_back(std::move(contact));
  }
}

void Reader::read_firewall(const Json& root) {
  const Json* firewall = part(root, "", "firewall", false, 16);
  if (firewall == nullptr) return;
  only(*firewall, "firewall", {"guide", "requirements"});
  profile_.firewall_guide = page(*firewall, "firewall", "guide");
  const Json* rules = part(*firewall, "firewall", "requirements", true, kMaxRules);
  for (std::size_t i = 0; rules != nullptr && i < rules->size(); ++i) {
    const Json& item = (*rules)[i];
    const std::string where = "firewall.requirements[" + std::to_string(i) + "]";
    if (!item.is_object()) {
      fault(where, "must be an object: { ... }");
      continue;
    }
    only(item, where, {"destination", "protocol", "ports", "purpose"});
    FirewallRule rule{
        text(item, where, "destination", 253, true), text(item, where, "protocol", 64, true),
        text(item, where, "ports", 128, true), text(item, where, "purpose", 256, true)};
    if (!rule.destination.empty() && !is_destination(rule.destination)) {
      fault(where + ".destination", "must be a name, *.name, an IP address or address/prefix");
    }
    if (!rule.ports.empty() && !are_ports(rule.ports)) {
      fault(where + ".ports", "must be ports such as 443, 443,5061 or 10000-20000");
    }
    profile_.firewall.push_back(std::move(rule));
  }
}

void Reader::note_hosts_without_rule() {
  for (const auto& [name, key] : kAddresses) {
    const auto at = profile_.settings.find(std::string(row_of(key).name));
    if (at == profile_.settings.end() || !at->second.is_string()) continue;
    const std::string host = host_of(at->second.get_ref<const std::string&>());
    const bool named =
        std::any_of(profile_.firewall.begin(), profile_.firewall.end(),
                    [&](const FirewallRule& rule) { return covers(rule.destination, host); });
    if (!host.empty() && !named) {
      profile_.notes.push_back("firewall.requirements do not name " + host + " of addresses." +
                               name);
    }
  }
}

Result<ProviderProfile> Reader::read(std::string_view text) {
  if (text.size() > kMaxProfileBytes) {
    return Error{"a provider profile has at most " + std::to_string(kMaxProfileBytes / 1024) +
                 " KiB"};
  }
  const Json root = parse_json(text, kMaxDepth);
  if (root.is_discarded()) {
    return Error{"this is not JSON, or it is nested deeper than " + std::to_string(kMaxDepth)};
  }
  if (!root.is_object()) return Error{"a provider profile is one JSON object: { ... }"};
  read_head(root);
  read_settings(root);
  read_texts(root);
  read_support(root);
  read_firewall(root);
  if (!faults_.empty()) {
    std::string all;
    for (const std::string& one : faults_) all += (all.empty() ? "" : "; ") + one;
    return Error{std::move(all)};
  }
  note_hosts_without_rule();
  return std::move(profile_);
}

}  // namespace conclave::control::provider
