// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/settings/registry.h"

namespace conclave::control {

/// Something in a configuration file that cannot be used. Shown as "site.conf:12: why".
struct ConfigProblem {
  std::string file;
  int line = 0;
  std::string name;  ///< the setting concerned; may be empty
  std::string why;
};
std::string to_text(const ConfigProblem& problem);

/// One value of a configuration, as written: the registry judges it.
struct ConfigEntry {
  std::string name;                  ///< setting or alias as written
  std::optional<std::string> value;  ///< none: "unset"
  bool lock = false;
  std::string file;
  int line = 0;
};

/// A configuration file with its includes resolved.
///
/// The format is lines of UTF-8 text (docs/configuration-files.md):
///
///     conclave-configuration 1
///     revision 12
///     absent default
///     include building.conf
///     [site]
///     Sip.Account.DisplayName = Room 4
///     lock Network.Services.SSHEnabled = false
///     unset Audio.Agc.Target
///     signature ed25519 BASE64
///
/// An include's values are weaker than those of the file that includes it; the same name twice in
/// one section of one file is a mistake and refused.
struct Configuration {
  std::uint64_t revision = 0;         ///< 0: not told
  bool absent_means_default = false;  ///< a section's settings that are not named are taken away
  std::array<std::vector<ConfigEntry>, kLayerCount> sections;  ///< by Layer; strongest last
  std::array<bool, kLayerCount> present{};                     ///< the section stands in a file
};

/// What may stand in a file, and what it may refer to.
struct ConfigRules {
  /// Fetches an include by the name written; nothing: includes are refused.
  std::function<Result<std::string>(const std::string& name)> include;
  /// PEM of an Ed25519 public key: each file must then be signed with it. Empty: a signature is
  /// not looked at.
  std::string signing_key;
  bool local = false;  ///< a section [local] is allowed: import by an administrator
};

/// Limits that a file from outside is held to.
inline constexpr std::size_t kMaxConfigBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxConfigLine = 8192;
inline constexpr int kMaxConfigDepth = 8;
inline constexpr int kMaxConfigFiles = 32;

struct ParsedConfiguration {
  Configuration configuration;
  std::vector<ConfigProblem> problems;  ///< not empty: nothing of it should be used
};
/// Reads a file. Never fails otherwise than by problems; stops after 100 of them. Any thread.
ParsedConfiguration parse_configuration(std::string_view text, const std::string& name,
                                        const ConfigRules& rules);

/// The file's last line that makes it a signed one, with line end. `key_pem`: Ed25519 private key.
Result<std::string> signature_line(std::string_view text, const std::string& key_pem);

}  // namespace conclave::control
