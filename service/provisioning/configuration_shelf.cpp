// SPDX-License-Identifier: Apache-2.0
#include "service/provisioning/configuration_shelf.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "service/protocol/messages.h"

namespace conclave::service {
namespace {

using nlohmann::json;
using protocol::valid_identifier;
using protocol::valid_text;

constexpr const char* kStateFile = "phones.json";
constexpr std::string_view kFirstLine = "conclave-configuration 1";
constexpr std::size_t kMaxValue = 4096;

std::string dumped(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool valid_setting_name(std::string_view name) {
  return valid_identifier(name) && name.find('.') != std::string_view::npos;
}

bool valid_address(std::string_view address) {
  return address.size() <= 512 && address.starts_with("https://") && address.size() > 8 &&
         address.find_first_of(" \t\r\n\"<>@?#") == std::string_view::npos;
}

Status check(const DeviceConfiguration& device) {
  if (!device.provider.empty() && !valid_identifier(device.provider)) {
    return Error{"provider must be an id of the list of providers"};
  }
  if (!valid_identifier(device.site)) return Error{"site must be a name of letters and digits"};
  if (device.parameters.size() > ConfigurationShelf::kMaxParameters) {
    return Error{"at most 500 parameters"};
  }
  for (const auto& [name, value] : device.parameters) {
    if (!valid_setting_name(name)) {
      return Error{"\"" + name.substr(0, 64) + "\" is no name of a setting"};
    }
    if (value.size() > kMaxValue || value.find('\0') != std::string::npos) {
      return Error{name + ": the value is longer than 4096 bytes or no text"};
    }
  }
  for (const auto& name : device.locks) {
    if (!device.parameters.contains(name)) {
      return Error{name + " is to be locked but is not among the parameters"};
    }
  }
  return {};
}

}  // namespace

std::string ConfigurationShelf::file_of(Part part, const std::string& name) {
  switch (part) {
    case Part::kModel:
      return "model-" + name + ".conf";
    case Part::kSite:
      return "site-" + name + ".conf";
    case Part::kCa:
      break;
  }
  return "ca-" + name + ".pem";
}

Status ConfigurationShelf::load() {
  CONCLAVE_CHECK_STATUS(store_.open());
  CONCLAVE_TRY(const auto text, store_.load(kStateFile));
  if (!text) {
    const std::lock_guard lock(mutex_);
    return keep(state_);
  }
  try {
    const json root = json::parse(*text);
    State state;
    state.revision = root.at("revision").get<std::uint64_t>();
    for (const auto& item : root.at("providers")) {
      state.providers.push_back({item.at("id").get<std::string>(),
                                 item.at("name").get<std::string>(),
                                 item.at("address").get<std::string>()});
    }
    for (const auto& [serial, item] : root.at("phones").items()) {
      DeviceConfiguration device;
      device.provider = item.at("provider").get<std::string>();
      device.site = item.at("site").get<std::string>();
      device.absent_default = item.at("absent_default").get<bool>();
      device.parameters = item.at("parameters").get<std::map<std::string, std::string>>();
      device.locks = item.at("locks").get<std::set<std::string>>();
      CONCLAVE_CHECK_STATUS(check(device));
      state.devices[serial] = std::move(device);
    }
    const std::lock_guard lock(mutex_);
    state_ = std::move(state);
  } catch (const json::exception& wrong) {
    return Error{std::string("provisioning/phones.json cannot be read: ") + wrong.what() +
                 "; mend it or remove it to begin anew"};
  }
  return {};
}

Status ConfigurationShelf::keep(State state) {
  // Never below the time of day: phones refuse what is older than theirs, and a console that was
  // set up anew must still reach them.
  state.revision = std::max(state.revision + 1, static_cast<std::uint64_t>(std::time(nullptr)));
  json providers = json::array();
  for (const auto& p : state.providers) {
    providers.push_back({{"id", p.id}, {"name", p.name}, {"address", p.address}});
  }
  json phones = json::object();
  for (const auto& [serial, d] : state.devices) {
    phones[serial] = {{"provider", d.provider},
                      {"site", d.site},
                      {"absent_default", d.absent_default},
                      {"parameters", d.parameters},
                      {"locks", d.locks}};
  }
  CONCLAVE_CHECK_STATUS(store_.save(kStateFile, dumped({{"revision", state.revision},
                                                        {"providers", std::move(providers)},
                                                        {"phones", std::move(phones)}}) +
                                                    "\n"));
  state_ = std::move(state);
  return {};
}

std::uint64_t ConfigurationShelf::revision() const {
  const std::lock_guard lock(mutex_);
  return state_.revision;
}

std::vector<std::string> ConfigurationShelf::names(Part part) const {
  const std::string whole = file_of(part, "");
  const auto dot = whole.find('.');
  return store_.list(whole.substr(0, dot), whole.substr(dot));
}

Result<std::optional<std::string>> ConfigurationShelf::text(Part part,
                                                            const std::string& name) const {
  if (!valid_identifier(name)) return std::optional<std::string>();
  return store_.load(file_of(part, name));
}

Status ConfigurationShelf::set_text(Part part, const std::string& name, const std::string& text) {
  if (!valid_identifier(name)) return Error{"the name is letters, digits, '-', '_' and '.'"};
  if (part == Part::kCa ? !text.starts_with("-----BEGIN CERTIFICATE-----")
                        : !text.starts_with(kFirstLine)) {
    return Error{part == Part::kCa ? "the text must be certificates in PEM"
                                   : "the first line must be 'conclave-configuration 1'"};
  }
  const std::lock_guard lock(mutex_);
  CONCLAVE_CHECK_STATUS(store_.save(file_of(part, name), text));
  return keep(state_);
}

Result<bool> ConfigurationShelf::remove(Part part, const std::string& name) {
  if (!valid_identifier(name)) return false;
  const std::lock_guard lock(mutex_);
  CONCLAVE_TRY(const bool gone, store_.remove(file_of(part, name)));
  if (gone) CONCLAVE_CHECK_STATUS(keep(state_));
  return gone;
}

std::vector<ProviderEntry> ConfigurationShelf::providers() const {
  const std::lock_guard lock(mutex_);
  return state_.providers;
}

Status ConfigurationShelf::set_providers(std::vector<ProviderEntry> providers) {
  if (providers.size() > kMaxProviders) return Error{"at most 100 providers"};
  std::set<std::string> ids;
  for (const auto& p : providers) {
    if (!valid_identifier(p.id) || !ids.insert(p.id).second) {
      return Error{"each provider has an id of its own of letters, digits, '-', '_' and '.'"};
    }
    if (p.name.empty() || !valid_text(p.name, protocol::kMaxName)) {
      return Error{p.id + ": name must be a text of at most 128 bytes"};
    }
    if (!p.address.empty() && !valid_address(p.address)) {
      return Error{p.id + ": address must be https://host/path"};
    }
  }
  const std::lock_guard lock(mutex_);
  State state = state_;
  state.providers = std::move(providers);
  return keep(std::move(state));
}

DeviceConfiguration ConfigurationShelf::device(const std::string& serial) const {
  const std::lock_guard lock(mutex_);
  const auto at = state_.devices.find(serial);
  return at != state_.devices.end() ? at->second : DeviceConfiguration{};
}

bool ConfigurationShelf::has_device(const std::string& serial) const {
  const std::lock_guard lock(mutex_);
  return state_.devices.contains(serial);
}

Status ConfigurationShelf::set_device(const std::string& serial,
                                      DeviceConfiguration configuration) {
  CONCLAVE_CHECK_STATUS(check(configuration));
  const std::lock_guard lock(mutex_);
  State state = state_;
  state.devices[serial] = std::move(configuration);
  return keep(std::move(state));
}

Result<bool> ConfigurationShelf::remove_device(const std::string& serial) {
  const std::lock_guard lock(mutex_);
  State state = state_;
  if (state.devices.erase(serial) == 0) return false;
  CONCLAVE_CHECK_STATUS(keep(std::move(state)));
  return true;
}

Result<std::string> ConfigurationShelf::finished(std::string text) const {
  return signer_ ? signer_->sign(std::move(text)) : Result<std::string>(std::move(text));
}

Result<std::string> ConfigurationShelf::phone_file(const std::string& serial,
                                                   const std::string& model) const {
  DeviceConfiguration device;
  std::string out(kFirstLine);
  {
    const std::lock_guard lock(mutex_);
    if (const auto at = state_.devices.find(serial); at != state_.devices.end()) {
      device = at->second;
    }
    out += "\n# Made by conclave-service for " + serial + "\nrevision " +
           std::to_string(state_.revision) + "\n";
  }
  out += device.absent_default ? "absent default\n" : "absent keep\n";
  for (const auto& file : {file_of(Part::kModel, model), file_of(Part::kSite, device.site)}) {
    CONCLAVE_TRY(const auto part, store_.load(file));
    if (part) out += "include " + file + "\n";
  }
  out += "\n[device]\n";
  for (const auto& [name, value] : device.parameters) {
    if (device.locks.contains(name)) out += "lock ";
    out += name + " = " + dumped(value) + "\n";
  }
  return finished(std::move(out));
}

Result<std::optional<std::string>> ConfigurationShelf::part_file(const std::string& serial,
                                                                 std::string_view file) const {
  constexpr std::string_view kEnd = ".conf";
  const std::string name(file);
  const bool model = file.starts_with("model-") && file.ends_with(kEnd);
  if (!valid_identifier(name) || (!model && name != file_of(Part::kSite, device(serial).site))) {
    return std::optional<std::string>();
  }
  CONCLAVE_TRY(auto text, store_.load(name));
  if (!text) return text;
  CONCLAVE_TRY(auto done, finished(std::move(*text)));
  return std::optional(std::move(done));
}

}  // namespace conclave::service
