// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/demo_command.h"

#include <signal.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>

#include "apps/conclave/command_result.h"
#include "apps/demo/call_report.h"
#include "apps/demo/demo.h"

namespace conclave::apps {
namespace {

std::atomic<bool> stop{false};
void on_signal(int) { stop = true; }

Status write_report(const Demo& demo, const DemoOptions& options, double seconds) {
  CONCLAVE_TRY(const auto report, call_report({.room = demo.room_directory(),
                                               .room_ready = demo.room_ready(),
                                               .far_end = demo.far_end_directory(),
                                               .phone_report = demo.phone_report(),
                                               .seconds_to_join = demo.seconds_to_join(),
                                               .seconds = seconds}));
  std::ofstream out(options.report);
  out << report.dump(2) << "\n";
  out.close();
  if (!out) return Error{"cannot write the report to " + options.report};
  if (!options.quiet) std::printf("The report is in %s\n", options.report.c_str());
  return {};
}

void invite(const Demo& demo) {
  std::printf(
      "\n  The phone is in a conference. Look and listen:\n\n"
      "      %s\n\n"
      "  Log in as admin with the factory password 1739. The browser will warn about the phone's\n"
      "  own certificate. Ctrl-C ends everything.\n\n",
      demo.url().c_str());
  std::fflush(stdout);
}

Status demonstrate(const DemoOptions& options) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);

  Demo demo(options, stop);
  Status status = demo.start();
  if (status && !options.quiet && !options.headless) invite(demo);
  if (status) status = demo.run();
  const double seconds = demo.seconds_in_call();
  demo.end();
  if (!status) return status;
  if (options.headless && !options.report.empty()) return write_report(demo, options, seconds);
  return {};
}

}  // namespace

void add_demo_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<DemoOptions>();
  std::error_code error;
  options->binaries = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  options->data = std::filesystem::temp_directory_path(error) / "conclave-demo";
  auto* cmd = app.add_subcommand(
      "demo", "The whole phone in a virtual room: service, phone and a far end, in one conference");
  cmd->add_option("--listen", options->listen, "Address of the web UI")->capture_default_str();
  cmd->add_option("--port", options->port, "Port of the web UI; 0 picks a free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  cmd->add_option("--data", options->data, "Folder for everything it writes")
      ->capture_default_str();
  cmd->add_option("--ui", options->ui, "Folder of the built web UI");
  cmd->add_option("--scene", options->scene, "Scene file of the room; without it: a meeting room")
      ->check(CLI::ExistingFile);
  cmd->add_option("--voice", options->voice, "Language of the far end: en, es, fr, it or ru")
      ->capture_default_str();
  auto* headless = cmd->add_flag("--headless", options->headless, "End by itself after --seconds");
  cmd->add_option("--seconds", options->seconds, "Length of the joined call with --headless")
      ->check(CLI::Range(1.0, 86400.0))
      ->needs(headless)
      ->capture_default_str();
  cmd->add_option("--report", options->report, "Write what was measured to this JSON file")
      ->needs(headless);
  cmd->add_flag("--quiet", options->quiet, "Print nothing but errors");
  cmd->callback([options, &exit_code] { exit_code = report(demonstrate(*options)); });
}

}  // namespace conclave::apps
