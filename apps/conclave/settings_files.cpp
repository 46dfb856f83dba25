// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/settings_files.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/conclave/command_result.h"
#include "apps/conclave/phone_door.h"
#include "control/provisioning/config_applier.h"

namespace conclave::apps {
namespace {

struct FileOptions {
  std::string data;
  std::string file;
  std::string key;
  std::string out;
  bool dry_run = false;
};

void print_problems(const nlohmann::json& problems) {
  for (const auto& p : problems) {
    const control::ConfigProblem problem{p.value("file", ""), p.value("line", 0),
                                         p.value("name", ""), p.value("why", "")};
    std::fprintf(stderr, "%s\n", control::to_text(problem).c_str());
  }
}

void print_report(const nlohmann::json& report) {
  std::printf("%s: %s\n", report.value("file", "").c_str(), report.value("verdict", "").c_str());
  for (const auto& name : report.value("changed", nlohmann::json::array())) {
    std::printf("  %s\n", name.get<std::string>().c_str());
  }
  if (report.value("restart", "none") == "reboot") {
    std::printf("Some of it takes effect after a restart of the phone.\n");
  }
}

Status write_text(const std::string& path, const std::string& text) {
  if (path.empty()) {
    std::fputs(text.c_str(), stdout);
    return {};
  }
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out) return Error{"cannot write " + path + "; give another --out"};
  return {};
}

Status export_file(const FileOptions& options) {
  CONCLAVE_TRY(const auto result,
               ask_phone(options.data, "settings.export_file", nlohmann::json::object()));
  return write_text(options.out, result.value("text", ""));
}

/// Includes are read here: the phone cannot see the administrator's disk.
Status import_file(const FileOptions& options) {
  CONCLAVE_TRY(const std::string text, control::read_config_file(options.file));
  const std::string name = std::filesystem::path(options.file).filename().string();
  nlohmann::json includes = nlohmann::json::object();
  control::ConfigRules rules;
  rules.local = true;
  rules.include = [&, beside = control::includes_beside(options.file)](const std::string& wanted) {
    Result<std::string> got = beside(wanted);
    if (got) includes[wanted] = *got;
    return got;
  };
  (void)control::parse_configuration(text, name, rules);  // the phone tells what is wrong with it
  const nlohmann::json params{
      {"text", text}, {"name", name}, {"includes", includes}, {"dry_run", options.dry_run}};
  CONCLAVE_TRY(const auto answer, ask_phone_raw(options.data, "settings.import_file", params, 60));
  const auto error = answer.value("error", nlohmann::json::object());
  const auto data = error.value("data", nlohmann::json::object());
  if (data.is_object() && data.contains("problems")) {
    print_problems(data["problems"]);
    return Error{options.file + " was refused, nothing of it is in force; mend the lines above"};
  }
  if (!error.empty()) return Error{error.value("message", "refused")};
  print_report(answer.value("result", nlohmann::json::object()));
  return {};
}

Status check_file(const FileOptions& options) {
  CONCLAVE_TRY(const std::string text, control::read_config_file(options.file));
  control::Registry factory;
  const auto report = control::ConfigApplier(factory).apply(
      text, std::filesystem::path(options.file).filename().string(),
      control::ConfigSource::kImported, control::includes_beside(options.file), true);
  const nlohmann::json shown = to_json(report);
  print_problems(shown["problems"]);
  if (!report.ok()) {
    return Error{options.file + " would be refused; mend the lines above"};
  }
  print_report(shown);
  return {};
}

Status sign_file(const FileOptions& options) {
  CONCLAVE_TRY(const std::string text, control::read_config_file(options.file));
  CONCLAVE_TRY(const std::string key, control::read_config_file(options.key));
  CONCLAVE_TRY(const std::string line, control::signature_line(text, key));
  return write_text(options.out, text + line);
}

}  // namespace

void add_settings_file_commands(CLI::App& settings, int& exit_code) {
  const auto add = [&](const char* name, const char* help, Status (*run)(const FileOptions&)) {
    auto* command = settings.add_subcommand(name, help);
    auto options = std::make_shared<FileOptions>();
    command->callback([options, run, &exit_code] { exit_code = report(run(*options)); });
    return std::pair(command, options);
  };
  {
    const auto [command, options] = add(
        "export", "A running phone's values as a configuration file, without secrets", export_file);
    command->add_option("--data", options->data, "The phone's data folder")->required();
    command->add_option("--out", options->out, "File to write; without: standard output");
  }
  {
    const auto [command, options] =
        add("import", "Puts a configuration file in force on a running phone", import_file);
    command->add_option("--data", options->data, "The phone's data folder")->required();
    command->add_option("file", options->file, "Configuration file")->required();
    command->add_flag("--dry-run", options->dry_run, "Only tell what would change");
  }
  {
    const auto [command, options] =
        add("check", "Whether a configuration file could be used, and what it changes", check_file);
    command->add_option("file", options->file, "Configuration file")->required();
  }
  {
    const auto [command, options] =
        add("sign", "The file with an Ed25519 signature as its last line", sign_file);
    command->add_option("file", options->file, "Configuration file")->required();
    command->add_option("--key", options->key, "PEM file with the private key")->required();
    command->add_option("--out", options->out, "File to write; without: standard output");
  }
}

}  // namespace conclave::apps
