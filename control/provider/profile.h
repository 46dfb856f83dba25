// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/settings/registry.h"

namespace conclave::control {

/// Where people of a region get help; what is not given is empty.
struct SupportContact {
  std::string region, email, phone, page;
};

/// One line of what a firewall has to let out.
struct FirewallRule {
  std::string destination;  ///< DNS name, *.name, IP address or address/prefix
  std::string protocol;     ///< "HTTPS", "SRTP over UDP"
  std::string ports;        ///< "443", "443,5061", "10000-20000"
  std::string purpose;
};

/// All that is a conferencing service provider's own: docs/provider-profile.md describes the file.
struct ProviderProfile {
  std::string id;       ///< a-z 0-9 - _
  std::string name;     ///< of the company
  std::string service;  ///< of what it sells
  std::string logo;     ///< file name beside the profile; may be empty
  std::map<std::string, std::string> texts;
  std::vector<SupportContact> support;
  std::string firewall_guide;  ///< address of the provider's own document; may be empty
  std::vector<FirewallRule> firewall;
  Registry::Request settings;      ///< values of the provider layer, addresses among them
  std::vector<std::string> notes;  ///< what was read over, and why
};

inline constexpr std::size_t kMaxProfileBytes = 64UL * 1024;

/// Reads a profile. The error names the place in the file and what would be right, for at most five
/// faults at once. Keys that are not known are read over and noted. Any thread.
Result<ProviderProfile> parse_provider_profile(std::string_view text);
Result<ProviderProfile> load_provider_profile(const std::string& path);
/// The one that was built in (CMake: CONCLAVE_PROVIDER_PROFILE).
const ProviderProfile& built_in_provider_profile();

/// What surfaces show: id, name, service, logo, texts, support, firewall, settings, notes.
nlohmann::json to_json(const ProviderProfile& profile);

/// Puts the profile's values into the provider layer. Values that a configuration file's [provider]
/// section has set there stay; those of the profile that was in force before go. Writes only when
/// something changes.
Status apply_provider_profile(const ProviderProfile& profile, Registry& settings);

}  // namespace conclave::control
