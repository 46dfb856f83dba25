// SPDX-License-Identifier: Apache-2.0
// The command line: `conclave process`, ... One row for each subcommand.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/conclave/bench_command.h"
#include "apps/conclave/command_result.h"
#include "apps/conclave/ctl_command.h"
#include "apps/conclave/demo_command.h"
#include "apps/conclave/errors_command.h"
#include "apps/conclave/far_end_command.h"
#include "apps/conclave/process_command.h"
#include "apps/conclave/room_command.h"
#include "apps/conclave/settings_command.h"

namespace conclave::apps {
namespace {

using AddCommand = void (*)(CLI::App& app, int& exit_code);
constexpr AddCommand kCommands[] = {
    add_process_command, add_room_command, add_ctl_command,     add_settings_command,
    add_errors_command,  add_demo_command, add_far_end_command, add_bench_command,
};

void print_version(bool json) {
  if (json) {
    const nlohmann::json version = {{"name", "conclave"}, {"version", CONCLAVE_VERSION}};
    std::printf("%s\n", version.dump().c_str());
  } else {
    std::printf("conclave %s\n", CONCLAVE_VERSION);
  }
}

// CLI11 may spread an explanation over lines: the promise is one.
std::string one_line(std::string text) {
  for (char& c : text) c = c == '\n' ? ' ' : c;
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

int run(int argc, char** argv) {
  CLI::App app{"Conclave: an open conference phone. Recordings, calibration and a running phone.",
               "conclave"};
  int exit_code = kExitOk;
  bool version = false;
  bool json = false;
  app.add_flag("--version", version, "Print the version and end");
  app.add_flag("--json", json, "With --version: as JSON");
  app.require_subcommand(0, 1);
  for (const auto add : kCommands) add(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help
    return app.exit(asked);
  } catch (const CLI::ParseError& wrong) {
    const auto chosen = app.get_subcommands();
    const std::string command = chosen.empty() ? "conclave" : "conclave " + chosen[0]->get_name();
    std::fprintf(stderr, "conclave: %s; see %s --help\n", one_line(wrong.what()).c_str(),
                 command.c_str());
    return kExitWrongUse;
  }
  if (version) {
    print_version(json);
    return kExitOk;
  }
  if (app.get_subcommands().empty()) {
    std::fprintf(stderr, "conclave: no command given; see conclave --help\n");
    return kExitWrongUse;
  }
  return exit_code;
}

}  // namespace
}  // namespace conclave::apps

int main(int argc, char** argv) {
  try {
    return conclave::apps::run(argc, argv);
  } catch (const std::exception& unforeseen) {
    std::fprintf(stderr, "conclave: %s; please report this\n", unforeseen.what());
    return conclave::apps::kExitFailure;
  }
}
