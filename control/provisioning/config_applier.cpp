// SPDX-License-Identifier: Apache-2.0
#include "control/provisioning/config_applier.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "control/access/digest.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;

/// Where each name of a layer was written last: an include's line gives way to the file's own.
using Written = std::map<std::string, const ConfigEntry*>;

std::vector<Registry::LayerChange> changes_of(const Configuration& configuration,
                                              Written* written) {
  std::vector<Registry::LayerChange> changes;
  for (std::size_t l = 0; l < kLayerCount; ++l) {
    if (!configuration.present[l]) continue;
    Registry::LayerChange change{static_cast<Layer>(l), {}, {}, configuration.absent_means_default};
    std::map<Key, std::string> names;
    for (const ConfigEntry& entry : configuration.sections[l]) {
      // The same setting by another name or other capitals, in an include: the later one counts.
      if (const SettingRow* row = find_setting(entry.name)) {
        if (const auto [at, fresh] = names.emplace(row->key, entry.name); !fresh) {
          change.values.erase(at->second);
          change.locks.erase(at->second);
          at->second = entry.name;
        }
      }
      change.values[entry.name] = entry.value ? Json(*entry.value) : Json(nullptr);
      if (entry.lock) change.locks.insert(entry.name);
      (*written)[entry.name] = &entry;
    }
    changes.push_back(std::move(change));
  }
  return changes;
}

std::string quoted_if_needed(const Value& value) {
  const std::string text = to_text(value);
  const bool plain =
      !text.empty() && text.front() != '"' && text.front() != ' ' && text.back() != ' ' &&
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= ' '; });
  return plain || text.empty() ? text : Json(text).dump();
}

}  // namespace

std::string_view name_of(ConfigReport::Verdict verdict) {
  switch (verdict) {
    case ConfigReport::Verdict::kApplied:
      return "applied";
    case ConfigReport::Verdict::kUnchanged:
      return "unchanged";
    case ConfigReport::Verdict::kWouldApply:
      return "would apply";
    case ConfigReport::Verdict::kRefused:
      break;
  }
  return "refused";
}

Json to_json(const ConfigReport& report) {
  Json changed = Json::array();
  for (const Key key : report.changed) changed.push_back(row_of(key).name);
  Json problems = Json::array();
  for (const ConfigProblem& problem : report.problems) {
    Json item{{"file", problem.file}, {"why", problem.why}};
    if (problem.line > 0) item["line"] = problem.line;
    if (!problem.name.empty()) item["name"] = problem.name;
    problems.push_back(std::move(item));
  }
  return {{"verdict", name_of(report.verdict)},
          {"file", report.file},
          {"sha256", report.sha256},
          {"revision", report.revision},
          {"changed", std::move(changed)},
          {"restart", name_of(report.restart)},
          {"problems", std::move(problems)}};
}

ConfigReport ConfigApplier::apply(std::string_view text, const std::string& name,
                                  ConfigSource source, const Include& include, bool dry_run) {
  const bool provisioned = source == ConfigSource::kProvisioned;
  ConfigReport report;
  report.file = name;
  const auto refuse = [&report](std::string why) {
    report.problems.push_back({report.file, 0, {}, std::move(why)});
    return report;
  };
  std::string all(text.substr(0, std::min(text.size(), kMaxConfigBytes + 1)));
  ConfigRules rules;
  rules.local = !provisioned;
  if (include) {
    rules.include = [&](const std::string& wanted) {
      Result<std::string> got = include(wanted);
      if (got) all += "\n" + wanted + "\n" + *got;
      return got;
    };
  }
  if (provisioned) {
    if (const auto path = registry_->get_text(Key::kProvisioningConfigSigningKey); !path.empty()) {
      auto key = read_config_file(path);
      if (!key) return refuse("the key for signed files cannot be read: " + key.error().message);
      rules.signing_key = std::move(*key);
    }
  }
  const ParsedConfiguration parsed = parse_configuration(text, name, rules);
  report.sha256 = sha256_hex(all);
  report.revision = parsed.configuration.revision;
  report.problems = parsed.problems;
  if (!report.problems.empty()) return report;
  if (provisioned) {
    const auto in_force =
        static_cast<std::uint64_t>(registry_->get_int(Key::kProvisioningConfigRevision));
    if (report.revision != 0 && report.revision < in_force) {
      return refuse("revision " + std::to_string(report.revision) + " is older than " +
                    std::to_string(in_force) + ", which is in force");
    }
    if (!report.sha256.empty() &&
        registry_->get_text(Key::kProvisioningConfigHash) == report.sha256) {
      report.verdict = ConfigReport::Verdict::kUnchanged;
      return report;
    }
  }
  Written written;
  const auto changes = changes_of(parsed.configuration, &written);
  const Registry::Outcome outcome = dry_run ? registry_->check(changes) : registry_->apply(changes);
  for (const auto& [setting, why] : outcome.errors) {
    const auto at = written.find(setting);
    const bool known = at != written.end();
    report.problems.push_back(
        {known ? at->second->file : name, known ? at->second->line : 0, setting, why});
  }
  if (!outcome.ok()) return report;
  report.changed = outcome.changed;
  report.restart = outcome.restart;
  report.verdict = dry_run ? ConfigReport::Verdict::kWouldApply : ConfigReport::Verdict::kApplied;
  if (provisioned && !dry_run) {
    // After the values: a power cut between the two only means that the same file comes again.
    Status kept = registry_->set_state(Key::kProvisioningConfigRevision,
                                       static_cast<std::int64_t>(report.revision));
    if (kept) kept = registry_->set_state(Key::kProvisioningConfigHash, report.sha256);
    if (!kept) log::warning("provisioning", kept.error().message);
  }
  return report;
}

ConfigApplier::Include includes_beside(const std::string& path) {
  return [folder = std::filesystem::path(path).parent_path()](const std::string& name) {
    if (name.find('/') != std::string::npos || name == "." || name == "..") {
      return Result<std::string>(Error{"an include must be a plain name in the same folder"});
    }
    return read_config_file((folder / name).string());
  };
}

Result<std::string> read_config_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{"cannot open " + path};
  std::string text(kMaxConfigBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kMaxConfigBytes) return Error{path + " is larger than 1 MiB"};
  return text;
}

std::string export_configuration(const Registry& registry) {
  std::string out =
      "conclave-configuration 1\n"
      "# Values that differ from the factory. Passwords and other secrets are not in here.\n";
  for (const Registry::LayerChange& layer : registry.export_layers()) {
    out += "\n[" + std::string(name_of(layer.layer)) + "]\n";
    for (const auto& [name, json] : layer.values) {
      const SettingRow* row = find_setting(name);
      const auto value = parse_value(*row, json);
      if (!value) continue;
      if (layer.locks.contains(name)) out += "lock ";
      out += name + " = " + quoted_if_needed(*value) + "\n";
    }
  }
  return out;
}

}  // namespace conclave::control
