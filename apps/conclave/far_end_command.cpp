// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/far_end_command.h"

#include <CLI/CLI.hpp>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/conclave/command_result.h"
#include "apps/far_end/far_end_run.h"

namespace conclave::apps {
namespace {

struct Texts {
  std::string service;
  std::string schedule;
};

std::string text_of(const nlohmann::json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

/// Fills what was not given from the service's ready line.
Status read_ready_line(const std::string& path, ParticipantConfig& config) {
  std::ifstream in(path);
  if (!in) return Error{"cannot read " + path + "; give the file with the service's ready line"};
  const auto ready = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (text_of(ready, "rest").empty()) {
    return Error{path + " is not the ready line of conclave-service"};
  }
  if (config.rest.empty()) config.rest = text_of(ready, "rest");
  if (config.ca_file.empty()) config.ca_file = text_of(ready, "ca");
  const auto conferences = ready.find("conferences");
  if (config.passcode.empty() && conferences != ready.end() && conferences->is_array() &&
      !conferences->empty()) {
    config.passcode = text_of(conferences->front(), "participant_passcode");
  }
  return {};
}

}  // namespace

void add_far_end_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<FarEndOptions>();
  auto texts = std::make_shared<Texts>();
  auto* cmd = app.add_subcommand(
      "far-end", "A participant at the other end of a conference: talks, listens, records");
  cmd->add_option("--service", texts->service, "File with the ready line of conclave-service")
      ->type_name("READY.json");
  cmd->add_option("--rest", options->participant.rest, "Address of the service's call control")
      ->type_name("URL");
  cmd->add_option("--ca", options->participant.ca_file, "CA that vouches for the service")
      ->type_name("FILE");
  cmd->add_option("--passcode", options->participant.passcode, "Passcode of the conference");
  cmd->add_option("--email", options->participant.email, "E-mail address, where it is asked for");
  cmd->add_option("--name", options->participant.name, "Name in the roster")->capture_default_str();
  cmd->add_option("--serial", options->participant.serial, "Serial number to log in with")
      ->capture_default_str();
  cmd->add_option("--voice", options->talker.voice, "Language of the voice, or none")
      ->capture_default_str()
      ->type_name("en|es|fr|it|ru|none");
  cmd->add_option("--talk-schedule", texts->schedule,
                  "Seconds of talk, of silence, and before the first turn (default 4,6,1)")
      ->type_name("TALK,SILENCE[,OFFSET]");
  cmd->add_option("--level", options->talker.level_dbfs, "RMS while speaking, dBFS")
      ->capture_default_str()
      ->check(CLI::Range(-60.0, -6.0));
  cmd->add_option("--seed", options->talker.seed, "Which sentences")->capture_default_str();
  cmd->add_option("--record", options->record,
                  "Folder for played.wav, spoken.wav, their times (.json) and stats.json")
      ->type_name("DIR");
  cmd->add_option("--seconds", options->seconds, "Length of the call; 0: until Ctrl-C")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e6));
  cmd->callback([options, texts, &exit_code] {
    if (!texts->schedule.empty()) {
      if (const auto status = parse_schedule(texts->schedule, options->talker); !status) {
        throw CLI::ValidationError("--talk-schedule", status.error().message);
      }
    }
    if (!texts->service.empty()) {
      if (const auto status = read_ready_line(texts->service, options->participant); !status) {
        exit_code = report(status);
        return;
      }
    }
    if (options->participant.rest.empty() || options->participant.passcode.empty()) {
      throw CLI::RequiredError("--service, or --rest with --passcode");
    }
    exit_code = report(run_far_end(*options));
  });
}

}  // namespace conclave::apps
