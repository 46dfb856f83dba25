// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/process_command.h"

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <string>

#include "apps/conclave/command_result.h"
#include "apps/conclave/process_run.h"

namespace conclave::apps {
namespace {

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= list.size() && !list.empty();) {
    const auto comma = std::min(list.find(',', at), list.size());
    parts.push_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

// "target=A.wav,noise=B.wav"
void parse_components(const std::string& list, std::vector<ShadowComponent>& components,
                      bool satellites) {
  for (const auto& part : split(list)) {
    const auto equals = part.find('=');
    const std::string name = part.substr(0, equals);
    if (equals == std::string::npos || name.empty() || equals + 1 == part.size() ||
        name.find('/') != std::string::npos) {
      throw CLI::ValidationError("--shadow", "\"" + part + "\" is not of the form name=FILE");
    }
    const std::string path = part.substr(equals + 1);
    if (!satellites) {
      components.push_back({name, path, ""});
      continue;
    }
    const auto known =
        std::find_if(components.begin(), components.end(), [&](auto& c) { return c.name == name; });
    if (known == components.end()) {
      throw CLI::ValidationError("--shadow-satellites", "\"" + name + "\" is not in --shadow");
    }
    known->satellites_path = path;
  }
}

struct Texts {
  std::string shadow;
  std::string shadow_satellites;
  std::string taps;
};

}  // namespace

void add_process_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ProcessOptions>();
  auto texts = std::make_shared<Texts>();
  auto* cmd = app.add_subcommand("process", "Recordings in, recordings out, as a phone sends them");
  cmd->add_option("--profile", options->profile, "P.json: places of the microphones")
      ->type_name("P.json");
  cmd->add_option("--mics", options->mics,
                  "The ring's channels in the profile's order; the satellites may follow")
      ->type_name("IN.wav")
      ->required();
  cmd->add_option("--satellites", options->satellites, "The satellites' channels")
      ->type_name("SATS.wav");
  cmd->add_option("--far", options->far, "What the loudspeaker plays, a channel each; any length")
      ->type_name("REF.wav");
  cmd->add_option("--out", options->out, "What is sent (32-bit float WAV, or FLAC)")
      ->type_name("OUT.wav")
      ->required();
  const std::map<std::string, engine::Chain> chains = {{"full", engine::Chain::kFull},
                                                       {"echo", engine::Chain::kEcho},
                                                       {"array", engine::Chain::kArray}};
  cmd->add_option("--chain", options->chain,
                  "full; echo: echo control of the first microphone alone; array: everything but "
                  "echo control")
      ->transform(CLI::Transformer(chains))
      ->type_name("full|echo|array")
      ->default_str("full");
  cmd->add_flag("--raw-gain", options->raw_gain, "No AGC and no limiter");
  cmd->add_option("--learned-mask", options->learned,
                  "What the learned mask helps with (default: as the phone has it)")
      ->check(CLI::IsMember({"none", "echo", "noise", "both"}))
      ->type_name("none|echo|noise|both");
  cmd->add_option("--tracks", options->tracks, "Writes talkers' directions every 10 ms")
      ->type_name("T.csv");
  cmd->add_option("--sync", options->sync, "Writes the satellites' clocks")->type_name("S.csv");
  cmd->add_option("--beams", options->beams, "Writes the beam's weights at the end")
      ->type_name("W.json");
  auto* shadow = cmd->add_option("--shadow", texts->shadow,
                                 "The same processing, decisions frozen, on component recordings")
                     ->type_name("target=A.wav,noise=B.wav,...");
  cmd->add_option("--shadow-satellites", texts->shadow_satellites,
                  "The components' satellites, when --satellites is used")
      ->type_name("target=A.wav,...")
      ->needs(shadow);
  auto* shadow_out = cmd->add_option("--shadow-out", options->shadow_out, "Where they are written")
                         ->type_name("DIR");
  shadow->needs(shadow_out);
  cmd->add_option("--metrics", options->metrics, "Writes latency, speed and each block's report")
      ->type_name("M.json");
  auto* taps = cmd->add_option("--taps", texts->taps,
                               "Inner signals: mic0.., aec0.., echo0.., far, playback, beam, mix, "
                               "post_rs, post_ns, sent")
                   ->type_name("name,...");
  auto* taps_out =
      cmd->add_option("--taps-out", options->taps_out, "Where they are written")->type_name("DIR");
  taps->needs(taps_out);
  cmd->add_flag("--quiet", options->quiet, "No progress");

  cmd->callback([options, texts, &exit_code] {
    parse_components(texts->shadow, options->shadow, false);
    parse_components(texts->shadow_satellites, options->shadow, true);
    options->taps = split(texts->taps);
    exit_code = report(run_process(*options));
  });
}

}  // namespace conclave::apps
