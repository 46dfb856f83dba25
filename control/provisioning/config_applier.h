// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "control/provisioning/config_file.h"
#include "control/settings/registry.h"

namespace conclave::control {

/// What became of a configuration file: what the server gets back and a person is shown.
struct ConfigReport {
  enum class Verdict { kApplied, kUnchanged, kWouldApply, kRefused };
  Verdict verdict = Verdict::kRefused;
  std::string file;
  std::string sha256;          ///< of the file and its includes, in hex
  std::uint64_t revision = 0;  ///< 0: the file tells none
  std::vector<Key> changed;    ///< settings whose value in force changed, or would change
  Restart restart = Restart::kNone;
  std::vector<ConfigProblem> problems;  ///< why it was refused, by file and line

  bool ok() const { return verdict != Verdict::kRefused; }
};
std::string_view name_of(ConfigReport::Verdict verdict);
/// {verdict, file, sha256, revision, changed:[name], restart, problems:[{file,line,name,why}]};
/// holds no values, so no secrets.
nlohmann::json to_json(const ConfigReport& report);

enum class ConfigSource {
  kProvisioned,  ///< from a server or the integrator's image: signed when a key is set, revisions
                 ///< rise
  kImported,     ///< an administrator's file: local values too, any revision
};

/// Puts configuration files in force, each wholly or not at all.
class ConfigApplier {
 public:
  using Include = std::function<Result<std::string>(const std::string& name)>;
  explicit ConfigApplier(Registry& registry) : registry_(&registry) {}

  /// `dry_run` only tells what would happen. One at a time; may take some 100 ms (disk, passwords).
  ConfigReport apply(std::string_view text, const std::string& name, ConfigSource source,
                     const Include& include = {}, bool dry_run = false);

 private:
  Registry* registry_;
};

/// Includes beside a file on disk: plain names in its folder alone.
ConfigApplier::Include includes_beside(const std::string& path);
/// A file of at most kMaxConfigBytes.
Result<std::string> read_config_file(const std::string& path);

/// All values but secrets, by layer and with locks, as a configuration file: on a phone with
/// factory settings an import of it gives the same phone.
std::string export_configuration(const Registry& registry);

}  // namespace conclave::control
