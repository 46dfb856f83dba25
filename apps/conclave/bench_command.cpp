// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/bench_command.h"

#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "apps/conclave/command_result.h"
#include "apps/conclave/progress.h"
#include "apps/conclave/service_bench_command.h"
#include "bench/echo/compare.h"
#include "bench/echo/generate.h"
#include "bench/echo/import.h"
#include "bench/echo/merge.h"
#include "bench/echo/report.h"
#include "bench/echo/run.h"
#include "bench/echo/show.h"

namespace conclave::apps {
namespace {

namespace echo = bench::echo;

constexpr int kExitStopped = 130;  // as a shell tells an end by Ctrl-C

std::atomic<bool> stop_asked{false};

void on_signal(int /*signal*/) { stop_asked = true; }

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // a second Ctrl-C ends it at once
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

// "a,b,name=command with, comma": a comma inside a command does not end it.
std::vector<std::string> split_systems(const std::string& list) {
  const auto known = [](const std::string& name) {
    return std::ranges::any_of(echo::known_systems(),
                               [&](const auto& system) { return name == system.name; });
  };
  std::vector<std::string> systems;
  for (std::size_t at = 0; at <= list.size();) {
    const auto comma = std::min(list.find(',', at), list.size());
    const std::string part = list.substr(at, comma - at);
    const auto equals = part.find('=');
    const bool names_one = equals != std::string::npos && part.find(' ') > equals;
    if (!systems.empty() && systems.back().find('=') != std::string::npos && !known(part) &&
        !names_one) {
      systems.back() += "," + part;
    } else {
      systems.push_back(part);
    }
    at = comma + 1;
  }
  return systems;
}

// The page at the end of run and merge.
struct ReportArguments {
  echo::ReportOptions options;

  void add_to(CLI::App& cmd) {
    const std::map<std::string, echo::ReportKind> kinds = {
        {"audio", echo::ReportKind::kAudio},
        {"pictures", echo::ReportKind::kPictures},
        {"none", echo::ReportKind::kNone}};
    cmd.add_option("--report", options.kind, "report.html: with sound, without it, or none")
        ->transform(CLI::Transformer(kinds))
        ->type_name("audio|pictures|none")
        ->default_str("audio");
    cmd.add_option("--report-mb", options.megabytes, "Sound is left out beyond this size")
        ->type_name("MB")
        ->check(CLI::Range(1.0, 2000.0))
        ->capture_default_str();
  }

  const char* page() const {
    return options.kind == echo::ReportKind::kNone ? "results.json" : "report.html";
  }

  Status write(const std::string& folder, const echo::RunPlan& plan, bool quiet) {
    std::unique_ptr<Progress> progress;
    options.progress = [&](std::int64_t done, std::int64_t total) {
      if (!progress) progress = std::make_unique<Progress>("report", total, quiet);
      progress->update(done);
    };
    return echo::write_report(echo::Store(folder), plan, options);
  }
};

struct RunArguments {
  echo::RunOptions options;
  ReportArguments report;
  std::string systems = "conclave,speexdsp,webrtc";
  std::string shard;
  bool quiet = false;
};

// What the line after a run says.
int tell(const echo::RunOutcome& outcome, const RunArguments& arguments) {
  const auto& out = arguments.options.out;
  if (outcome.stopped) {
    std::fprintf(stderr,
                 "conclave: stopped; %d of %d items are finished in %s; the same command with "
                 "--resume goes on\n",
                 outcome.finished, outcome.items, out.c_str());
    return kExitStopped;
  }
  if (outcome.failures > 0) {
    std::fprintf(stderr, "conclave: %d of the measurements failed, first %s\n", outcome.failures,
                 outcome.first_failure.c_str());
    return kExitFailure;
  }
  if (!arguments.quiet) {
    std::printf("%d items x %zu systems: %s/%s\n", outcome.finished, outcome.plan.systems.size(),
                out.c_str(), arguments.report.page());
  }
  return kExitOk;
}

int run(RunArguments& arguments) {
  auto& options = arguments.options;
  options.systems = split_systems(arguments.systems);
  if (!arguments.shard.empty()) {
    const auto shard = echo::parse_shard(arguments.shard);
    if (!shard) {
      std::fprintf(stderr, "conclave: %s\n", shard.error().message.c_str());
      return kExitWrongUse;
    }
    options.shard = *shard;
  }
  std::unique_ptr<Progress> progress;
  options.progress = [&](std::int64_t done, std::int64_t total) {
    if (!progress) progress = std::make_unique<Progress>("bench", total, arguments.quiet);
    progress->update(done);
  };
  catch_signals();
  options.stop = &stop_asked;
  const auto outcome = echo::run_bench(options);
  progress.reset();
  if (!outcome) return report(outcome.error());
  if (!outcome->stopped) {
    const Status written = arguments.report.write(options.out, outcome->plan, arguments.quiet);
    if (!written) return report(written);
  }
  return tell(*outcome, arguments);
}

void add_run(CLI::App& bench, int& exit_code) {
  auto arguments = std::make_shared<RunArguments>();
  auto& options = arguments->options;
  options.jobs = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  auto* cmd = bench.add_subcommand("run", "Runs systems over the recordings of a manifest");
  cmd->add_option("manifest", options.manifest, "The recordings; docs/bench.md tells its form")
      ->type_name("MANIFEST.json")
      ->required();
  cmd->add_option("--out", options.out, "Where results go; earlier ones there are replaced")
      ->type_name("DIR")
      ->required();
  std::string names = "Systems, by commas: ";
  for (const auto& known : echo::known_systems()) names += std::string(known.name) + ", ";
  cmd->add_option("--systems", arguments->systems,
                  names + "or NAME=COMMAND with {mic} or {mic16}, {far} or {far16}, {out}, {rate}")
      ->type_name("A,B,...")
      ->capture_default_str();
  cmd->add_option("--jobs", options.jobs, "Items at a time")
      ->type_name("N")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  cmd->add_option("--shard", arguments->shard, "Only items i, i + n, ...; bench merge joins them")
      ->type_name("i/n");
  cmd->add_option("--scorer", options.scorer,
                  "A program that gives more scores; docs/bench.md tells its form")
      ->type_name("COMMAND");
  cmd->add_option("--time-limit", options.command_seconds, "For a NAME=COMMAND on one item")
      ->type_name("SECONDS")
      ->check(CLI::Range(1.0, 86400.0))
      ->capture_default_str();
  cmd->add_flag("--resume", options.resume, "Keeps what an interrupted run has finished");
  arguments->report.add_to(*cmd);
  cmd->add_flag("--quiet", arguments->quiet, "No progress");
  cmd->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

void add_import(CLI::App& bench, int& exit_code) {
  auto options = std::make_shared<echo::ImportOptions>();
  auto* cmd = bench.add_subcommand("import", "Makes a manifest for a folder of recordings");
  cmd->add_option("folder", options->folder, "With a manifest.json as docs/bench.md tells")
      ->type_name("FOLDER")
      ->required();
  cmd->add_option("--out", options->manifest,
                  "The manifest to write; mixes of real echo and known near talker go beside it")
      ->type_name("MANIFEST.json")
      ->required();
  cmd->add_option("--seed", options->seed, "Of the mixes")->type_name("N")->capture_default_str();
  cmd->callback([options, &exit_code] {
    const auto outcome = echo::import_folder(*options);
    if (!outcome) {
      exit_code = report(outcome.error());
      return;
    }
    std::printf("%s: %d real recordings, %d synthetic, %d mixes\n", options->manifest.c_str(),
                outcome->recorded, outcome->synthetic, outcome->mixed);
  });
}

void add_generate(CLI::App& bench, int& exit_code) {
  auto options = std::make_shared<echo::GenerateOptions>();
  auto quiet = std::make_shared<bool>(false);
  auto* cmd = bench.add_subcommand("generate", "Renders recordings with truth in simulated rooms");
  cmd->add_option("--out", options->out, "Where recordings and manifest.json go")
      ->type_name("DIR")
      ->required();
  cmd->add_option("--seed", options->seed, "Of rooms, voices and noise")
      ->type_name("N")
      ->capture_default_str();
  cmd->add_option("--speech", options->speech,
                  "Folder of WAV or FLAC files or of G.722 prompts, or \"synthetic\"; without it "
                  "Debian's voice prompts")
      ->type_name("FOLDER");
  cmd->add_flag("--small", options->small, "Few short ones: what the regression gate runs");
  cmd->add_flag("--quiet", *quiet, "No progress");
  cmd->callback([options, quiet, &exit_code] {
    std::unique_ptr<Progress> progress;
    options->progress = [&](std::int64_t done, std::int64_t total) {
      if (!progress) progress = std::make_unique<Progress>("generate", total, *quiet);
      progress->update(done);
    };
    catch_signals();
    options->stop = &stop_asked;
    const auto made = echo::generate(*options);
    progress.reset();
    if (!made) {
      exit_code = report(made.error());
      if (stop_asked) exit_code = kExitStopped;
    } else if (!*quiet) {
      std::printf("%s/manifest.json: %d recordings\n", options->out.c_str(), *made);
    }
  });
}

void add_merge(CLI::App& bench, int& exit_code) {
  struct Arguments {
    std::vector<std::string> folders;
    std::string out;
    ReportArguments report;
    bool quiet = false;
  };
  auto arguments = std::make_shared<Arguments>();
  auto* cmd = bench.add_subcommand("merge", "Joins the results of shards");
  cmd->add_option("folders", arguments->folders, "What bench run --shard wrote")
      ->type_name("DIR")
      ->required();
  cmd->add_option("--out", arguments->out, "Where the joined results go")
      ->type_name("DIR")
      ->required();
  arguments->report.add_to(*cmd);
  cmd->add_flag("--quiet", arguments->quiet, "No output");
  cmd->callback([arguments, &exit_code] {
    const auto plan = echo::merge_results(arguments->folders, arguments->out);
    const Status written =
        plan ? arguments->report.write(arguments->out, *plan, arguments->quiet) : plan.error();
    exit_code = report(written);
    if (written && !arguments->quiet) {
      std::printf("%zu items x %zu systems: %s/%s\n", plan->ids.size(), plan->systems.size(),
                  arguments->out.c_str(), arguments->report.page());
    }
  });
}

int compare(const std::string& before, const std::string& after, const std::string& fail_on,
            bool quiet) {
  const auto rules = echo::parse_rules(fail_on);
  if (!rules) {
    std::fprintf(stderr, "conclave: %s\n", rules.error().message.c_str());
    return kExitWrongUse;
  }
  const auto comparison = echo::compare_results(before, after, *rules);
  if (!comparison) return report(comparison.error());
  const std::string table = echo::comparison_table(*comparison);
  if (!quiet) std::fputs(table.empty() ? "nothing changed\n" : table.c_str(), stdout);
  for (const auto& failure : comparison->failures)
    std::fprintf(stderr, "conclave: %s\n", failure.c_str());
  return comparison->failures.empty() ? kExitOk : kExitFailure;
}

void add_compare(CLI::App& bench, int& exit_code) {
  struct Arguments {
    std::string before;
    std::string after;
    std::string fail_on;
    bool quiet = false;
  };
  auto arguments = std::make_shared<Arguments>();
  auto* cmd = bench.add_subcommand("compare", "What changed between two results");
  cmd->add_option("old", arguments->before, "A results.json or its folder")
      ->type_name("OLD")
      ->required();
  cmd->add_option("new", arguments->after, "The same")->type_name("NEW")->required();
  cmd->add_option("--fail-on", arguments->fail_on,
                  "Ends with 1 when a scenario's mean changed so: [SYSTEM/]METRIC[@SCENARIO]<VALUE "
                  "or >VALUE, by commas")
      ->type_name("'erle_ss<-1,t20_s>0.3'");
  cmd->add_flag("--quiet", arguments->quiet, "No table");
  cmd->callback([arguments, &exit_code] {
    exit_code = compare(arguments->before, arguments->after, arguments->fail_on, arguments->quiet);
  });
}

void add_show(CLI::App& bench, int& exit_code) {
  struct Arguments {
    std::string place;
    std::vector<std::string> metrics;
  };
  auto arguments = std::make_shared<Arguments>();
  auto* cmd = bench.add_subcommand("show", "The means of a result as a table");
  cmd->add_option("results", arguments->place, "A results.json or its folder")
      ->type_name("DIR")
      ->required();
  cmd->add_option("--metrics", arguments->metrics, "Which, by commas")
      ->delimiter(',')
      ->type_name("A,B,...");
  cmd->callback([arguments, &exit_code] {
    const auto table = echo::show_results(arguments->place, arguments->metrics);
    if (!table) {
      exit_code = report(table.error());
    } else {
      std::fputs(table->c_str(), stdout);
    }
  });
}

}  // namespace

void add_bench_command(CLI::App& app, int& exit_code) {
  auto* bench = app.add_subcommand(
      "bench", "Measures echo control over many recordings, and the service under load");
  bench->require_subcommand(1);
  add_run(*bench, exit_code);
  add_merge(*bench, exit_code);
  add_show(*bench, exit_code);
  add_compare(*bench, exit_code);
  add_generate(*bench, exit_code);
  add_import(*bench, exit_code);
  add_service_bench(*bench, exit_code);
}

}  // namespace conclave::apps
