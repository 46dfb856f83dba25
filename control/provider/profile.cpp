// SPDX-License-Identifier: Apache-2.0
#include "control/provider/profile.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "control/provider/profile_reader.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;

#include "control/provider/built_in.inc"

/// What the last profile has put into the provider layer, by name.
Json applied_before(const Registry& settings) {
  const Json applied = Json::parse(settings.get_text(Key::kProviderProfileApplied), nullptr, false);
  return applied.is_object() ? applied : Json::object();
}

Registry::Request provider_layer(const Registry& settings) {
  for (auto& layer : settings.export_layers()) {
    if (layer.layer == Layer::kProvider) return std::move(layer.values);
  }
  return {};
}

}  // namespace

Result<ProviderProfile> parse_provider_profile(std::string_view text) {
  return provider::Reader().read(text);
}

Result<ProviderProfile> load_provider_profile(const std::string& path) {
  std::error_code ec;
  // A pipe would hold up the start for ever.
  if (!std::filesystem::is_regular_file(path, ec)) {
    return Error{"cannot read the provider profile " + path + ": no such file"};
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{"cannot read the provider profile " + path};
  // One byte more than allowed is enough to know, whatever is behind the name.
  std::string text(kMaxProfileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return Error{"cannot read the provider profile " + path};
  text.resize(static_cast<std::size_t>(in.gcount()));
  auto profile = parse_provider_profile(text);
  if (!profile) return Error{path + ": " + profile.error().message};
  return profile;
}

const ProviderProfile& built_in_provider_profile() {
  // A test reads it: what is built in can be read.
  static const ProviderProfile profile = *parse_provider_profile(kBuiltIn);
  return profile;
}

Json to_json(const ProviderProfile& profile) {
  Json support = Json::array();
  for (const SupportContact& contact : profile.support) {
    Json item{{"region", contact.region}};
    if (!contact.email.empty()) item["email"] = contact.email;
    if (!contact.phone.empty()) item["phone"] = contact.phone;
    if (!contact.page.empty()) item["page"] = contact.page;
    support.push_back(std::move(item));
  }
  Json rules = Json::array();
  for (const FirewallRule& rule : profile.firewall) {
    rules.push_back({{"destination", rule.destination},
                     {"protocol", rule.protocol},
                     {"ports", rule.ports},
                     {"purpose", rule.purpose}});
  }
  Json values = Json::object();
  for (const auto& [name, value] : profile.settings) values[name] = value;
  return {{"id", profile.id},
          {"name", profile.name},
          {"service", profile.service},
          {"logo", profile.logo},
          {"texts", profile.texts},
          {"support", std::move(support)},
          {"firewall", {{"guide", profile.firewall_guide}, {"requirements", std::move(rules)}}},
          {"settings", std::move(values)},
          {"notes", profile.notes}};
}

Status apply_provider_profile(const ProviderProfile& profile, Registry& settings) {
  const Json before = applied_before(settings);
  const Registry::Request now = provider_layer(settings);
  const auto ours = [&before](const std::string& name, const Json& value) {
    const auto at = before.find(name);
    return at != before.end() && *at == value;
  };
  Registry::LayerChange change{Layer::kProvider, {}};
  Json applied = Json::object();
  for (const auto& [name, value] : profile.settings) {
    const auto at = now.find(name);
    if (at != now.end() && at->second != value && !ours(name, at->second)) continue;
    if (at == now.end() || at->second != value) change.values[name] = value;
    applied[name] = value;
  }
  for (const auto& [name, value] : before.items()) {
    const auto at = now.find(name);
    if (at != now.end() && at->second == value && !profile.settings.contains(name)) {
      change.values[name] = nullptr;
    }
  }
  if (!change.values.empty()) {
    const auto outcome = settings.apply(std::span(&change, 1));
    if (!outcome.ok()) {
      const auto& [name, why] = *outcome.errors.begin();
      return Error{"the provider profile cannot be put in force: " + name + ": " + why};
    }
  }
  // Afterwards: a power cut in between leaves values that the next start finds to be the profile's.
  return applied == before ? Status{}
                           : settings.set_state(Key::kProviderProfileApplied, applied.dump());
}

}  // namespace conclave::control
