// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/service_bench_command.h"

#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>

#include "apps/conclave/command_result.h"
#include "apps/demo/child_process.h"
#include "apps/load/service_load.h"
#include "base/clock.h"

namespace conclave::apps {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Options {
  ServiceLoadConfig load{};
  int meetings = 50;
  std::string ready_file{};
  bool as_json = false;
  bool quiet = false;
};

/// Seconds of CPU that a process has used; 0 when it is gone.
double cpu_s(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

/// A process and what it has started.
double cpu_of_family_s(pid_t pid) {
  double sum = cpu_s(pid);
  std::error_code ec;
  for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(pid) + "/task", ec)) {
    std::ifstream in(task.path() / "children");
    for (pid_t child; in >> child;) sum += cpu_of_family_s(child);
  }
  return sum;
}

/// A service of our own, with meetings to fill.
struct OwnService {
  fs::path folder{};
  std::optional<ChildProcess> process{};
  ~OwnService() {
    if (process) process->stop();
    std::error_code ignored;
    if (!folder.empty()) fs::remove_all(folder, ignored);
  }
};

Status start_service(OwnService& own, int meetings, json& ready) {
  std::string folder = (fs::temp_directory_path() / "conclave-bench-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return Error{"cannot make a temporary folder"};
  own.folder = folder;
  json list = json::array();
  for (int i = 0; i < meetings; ++i) {
    const std::string number = std::to_string(i);
    list.push_back({{"id", "m" + number},
                    {"title", "Meeting " + number},
                    {"chairperson_passcode", std::to_string(500000 + i)},
                    {"participant_passcode", std::to_string(600000 + i)}});
  }
  std::ofstream(own.folder / "meetings.json") << json{{"conferences", list}}.dump();
  ChildProcess::Options options;
  options.name = "conclave-service";
  options.command = {
      (fs::read_symlink("/proc/self/exe").parent_path() / "conclave-service").string(),
      "--quiet",
      "--data",
      (own.folder / "data").string(),
      "--config",
      (own.folder / "meetings.json").string()};
  options.log_file = (own.folder / "service.log").string();
  CONCLAVE_TRY(auto process, ChildProcess::start(std::move(options)));
  own.process.emplace(std::move(process));
  CONCLAVE_TRY(const std::string line, own.process->read_line(std::chrono::seconds(20)));
  ready = json::parse(line, nullptr, false);
  return {};
}

Status run(const Options& options) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
  }
  OwnService own;
  json ready;
  if (options.ready_file.empty()) {
    CONCLAVE_CHECK_STATUS(start_service(own, options.meetings, ready));
  } else {
    std::ifstream in(options.ready_file);
    ready = json::parse(in, nullptr, false);
  }
  if (!ready.is_object() || !ready.contains("rest") || !ready.contains("conferences")) {
    return Error{"no ready line of conclave-service; give the file that holds it by --service"};
  }
  ServiceLoadConfig load = options.load;
  load.rest = ready.value("rest", "");
  load.ca_file = ready.value("ca", "");
  for (const auto& conference : ready["conferences"]) {
    load.passcodes.push_back(conference.value("participant_passcode", ""));
  }
  double cpu_begin = 0, cpu_end = 0;
  std::int64_t time_begin = 0, time_end = 0;
  const pid_t pid = own.process ? own.process->pid() : 0;
  load.measured = [&](bool begin) {
    (begin ? cpu_begin : cpu_end) = pid > 0 ? cpu_of_family_s(pid) : 0;
    (begin ? time_begin : time_end) = SystemClock::now();
  };
  const auto report = run_service_load(load, [&options](const std::string& line) {
    if (!options.quiet) std::fprintf(stderr, "conclave: %s\n", line.c_str());
  });
  if (!report) return report.error();
  const ServiceLoadReport& r = *report;
  const double cores =
      pid > 0 ? (cpu_end - cpu_begin) * 1e9 / static_cast<double>(time_end - time_begin) : 0;
  if (options.as_json) {
    const json out{
        {"phones", load.phones},
        {"meetings", load.passcodes.size()},
        {"joined", r.joined},
        {"failures", r.failures},
        {"join_ms", {{"p50", r.join_p50_ms}, {"p95", r.join_p95_ms}, {"max", r.join_max_ms}}},
        {"packets",
         {{"sent", r.sent}, {"received", r.received}, {"lost", r.lost}, {"rejected", r.rejected}}},
        {"loss_percent", r.loss_percent},
        {"jitter_p95_ms", r.jitter_p95_ms},
        {"sender_late_p99_ms", r.late_p99_ms},
        {"rosters", r.rosters},
        {"ended", r.ended},
        {"service_cores", cores}};
    std::printf("%s\n", out.dump(1).c_str());
  } else {
    std::printf("joined            %d of %d in %zu meetings\n", r.joined, load.phones,
                load.passcodes.size());
    for (const auto& failure : r.failures) std::printf("  not joined      %s\n", failure.c_str());
    std::printf("join              p50 %.0f ms, p95 %.0f ms, max %.0f ms (to the first packet)\n",
                r.join_p50_ms, r.join_p95_ms, r.join_max_ms);
    std::printf("packets           %llu sent, %llu of the mix received\n",
                static_cast<unsigned long long>(r.sent),
                static_cast<unsigned long long>(r.received));
    std::printf("missing           %.3f %% (%llu by sequence numbers, %llu rejected)\n",
                r.loss_percent, static_cast<unsigned long long>(r.lost),
                static_cast<unsigned long long>(r.rejected));
    std::printf("jitter            p95 %.1f ms; this program sent up to %.1f ms late (p99)\n",
                r.jitter_p95_ms, r.late_p99_ms);
    std::printf("roster answers    %llu; calls that ended by themselves: %d\n",
                static_cast<unsigned long long>(r.rosters), r.ended);
    if (pid > 0) std::printf("service and mixer %.2f cores\n", cores);
  }
  if (r.joined < load.phones || r.ended > 0) return Error{"not every phone joined and stayed"};
  return {};
}

}  // namespace

void add_service_bench(CLI::App& bench, int& exit_code) {
  auto options = std::make_shared<Options>();
  auto* cmd = bench.add_subcommand(
      "service", "Many light phones against conclave-service: join times, losses, processor load");
  cmd->add_option("--phones", options->load.phones)
      ->check(CLI::Range(1, 2000))
      ->capture_default_str();
  cmd->add_option("--meetings", options->meetings, "Of the service that is started for this")
      ->check(CLI::Range(1, 500))
      ->capture_default_str();
  cmd->add_option("--seconds", options->load.seconds, "Measured, once all have joined")
      ->check(CLI::Range(1.0, 36000.0))
      ->capture_default_str();
  cmd->add_option("--ptime", options->load.ptime_ms, "Milliseconds of sound in a packet: 10 or 20")
      ->check(CLI::IsMember({10, 20}))
      ->capture_default_str();
  cmd->add_option("--talkers", options->load.talkers, "In each meeting")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  cmd->add_option("--joining", options->load.joining_at_once, "Phones that join at the same time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  cmd->add_option("--service", options->ready_file,
                  "File with the ready line of a running service, whose meetings are filled")
      ->type_name("READY.json");
  cmd->add_flag("--json", options->as_json, "The figures as JSON");
  cmd->add_flag("--quiet", options->quiet, "No progress");
  cmd->callback([options, &exit_code] { exit_code = report(run(*options)); });
}

}  // namespace conclave::apps
