// SPDX-License-Identifier: Apache-2.0
#include "apps/demo/demo.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <thread>

namespace conclave::apps {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr auto kStartPatience = seconds(20);
constexpr auto kJoinPatience = seconds(30);
constexpr auto kStep = milliseconds(50);

Status make_directories(const std::filesystem::path& root) {
  std::error_code error;
  for (const char* part : {"", "logs", "room", "service", "phone", "far-end"}) {
    std::filesystem::create_directories(root / part, error);
    if (error) return Error{"cannot make " + (root / part).string() + ": " + error.message()};
  }
  // Recordings and truth of an earlier run must not be taken for this one's.
  for (const char* old : {"far-end", "room"}) {
    for (const auto& entry : std::filesystem::directory_iterator(root / old, error)) {
      std::filesystem::remove_all(entry.path(), error);
    }
  }
  std::filesystem::remove(root / "phone-report.json", error);
  return {};
}

}  // namespace

Demo::Demo(DemoOptions options, const std::atomic<bool>& stop)
    : options_(std::move(options)), stop_(stop) {}

void Demo::say(const std::string& text) const {
  if (options_.quiet) return;
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

Result<ChildProcess> Demo::launch(const std::string& name, std::vector<std::string> command,
                                  bool with_sound_cards) const {
  ChildProcess::Options child;
  child.name = name;
  child.command = std::move(command);
  child.log_file = options_.data / "logs" / (name + ".log");
  if (with_sound_cards) {
    child.environment.emplace_back("ALSA_CONFIG_PATH", room_directory() / "asound.conf");
  }
  return ChildProcess::start(std::move(child));
}

Status Demo::start_room_and_service() {
  std::vector<std::string> room = {program("conclave"), "room", "serve", "--dir", room_directory()};
  if (!options_.scene.empty()) room.insert(room.end(), {"--scene", options_.scene});
  CONCLAVE_TRY(room_, launch("room", std::move(room)));
  CONCLAVE_TRY(service_,
               launch("service", {program("conclave-service"), "--data", options_.data / "service",
                                  "--rest-port", "0", "--sip-port", "0"}));
  CONCLAVE_TRY(const std::string ready, service_->read_line(kStartPatience));
  service_ready_ = json::parse(ready, nullptr, false);
  if (!service_ready_.is_object() || !service_ready_.value("ready", false)) {
    return Error{"the service's ready line makes no sense: " + ready};
  }
  std::ofstream(options_.data / "service-ready.json") << ready << "\n";
  CONCLAVE_TRY(const std::string room_ready, room_->read_line(kStartPatience));
  return {};
}

Status Demo::start_phone() {
  const json& conference = service_ready_["conferences"][0];
  std::vector<std::string> command = {program("conclaved"),
                                      "--data",
                                      options_.data / "phone",
                                      "--profile",
                                      room_directory() / "profile.json",
                                      "--ring",
                                      "conclave_ring",
                                      "--satellite",
                                      "conclave_sat1",
                                      "--satellite",
                                      "conclave_sat2",
                                      "--listen",
                                      options_.listen,
                                      "--port",
                                      std::to_string(options_.port),
                                      "--ui",
                                      options_.ui,
                                      "--service-ca",
                                      service_ready_.value("ca", ""),
                                      "--set",
                                      "Dvms.Server.Address=" + service_ready_.value("rest", ""),
                                      "--join",
                                      conference.value("chairperson_passcode", ""),
                                      "--report",
                                      phone_report()};
  CONCLAVE_TRY(phone_, launch("phone", std::move(command), true));
  CONCLAVE_TRY(const std::string ready, phone_->read_line(kStartPatience));
  const json parsed = json::parse(ready, nullptr, false);
  if (!parsed.is_object() || !parsed.value("ready", false)) {
    return Error{"the phone's ready line makes no sense: " + ready};
  }
  url_ = parsed.value("url", "");
  return {};
}

Status Demo::start_far_end() {
  const json& conference = service_ready_["conferences"][0];
  CONCLAVE_TRY(far_end_,
               launch("far-end",
                      {program("conclave"), "far-end", "--service",
                       options_.data / "service-ready.json", "--ca", service_ready_.value("ca", ""),
                       "--passcode", conference.value("participant_passcode", ""), "--name",
                       "Far end", "--voice", options_.voice, "--record", far_end_directory()}));
  return {};
}

Status Demo::wait_until_active() {
  // The phone's own door for scripts tells; asking it often costs nothing.
  const auto deadline = Clock::now() + kJoinPatience;
  std::string last;
  while (Clock::now() < deadline && !stop_) {
    auto asked = launch(
        "ask", {program("conclave"), "ctl", "--data", options_.data / "phone", "state.resync"});
    if (asked) {
      if (auto line = asked->read_line(seconds(2))) {
        const json answer = json::parse(*line, nullptr, false);
        const json& state = answer.contains("state") ? answer["state"] : answer;
        if (state.is_object() && state.contains("call")) {
          last = state["call"].value("state", "");
          if (last == "active") return {};
          if (last == "failed") {
            return Error{"the phone could not join: " +
                         state["call"]["error"].value("message", "no reason given")};
          }
        }
      }
    }
    if (!phone_->running()) return Error{"the phone ended; its log says: " + phone_->last_words()};
    std::this_thread::sleep_for(kStep);
  }
  return Error{"the call did not become active in time (state: " + last + "); logs are in " +
               (options_.data / "logs").string()};
}

Status Demo::start() {
  CONCLAVE_CHECK_STATUS(make_directories(options_.data));
  const auto begin = Clock::now();
  CONCLAVE_CHECK_STATUS(start_room_and_service());
  CONCLAVE_CHECK_STATUS(start_phone());
  CONCLAVE_CHECK_STATUS(start_far_end());
  CONCLAVE_CHECK_STATUS(wait_until_active());
  seconds_to_join_ = std::chrono::duration<double>(Clock::now() - begin).count();
  return {};
}

Status Demo::run() {
  const auto begin = Clock::now();
  const bool terminal = isatty(STDOUT_FILENO) != 0 && !options_.quiet;
  while (!stop_) {
    const double elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
    seconds_in_call_ = elapsed;
    if (options_.headless) {
      if (elapsed >= options_.seconds) break;
      if (terminal) {
        std::printf("\rcall is up: %3.0f of %.0f s", elapsed, options_.seconds);
        std::fflush(stdout);
      }
    }
    for (auto* child : {&room_, &service_, &phone_, &far_end_}) {
      (*child)->drain();
      if (!(*child)->running()) {
        return Error{(*child)->name() + " ended by itself (exit code " +
                     std::to_string((*child)->exit_code()) +
                     "); its log says: " + (*child)->last_words()};
      }
    }
    std::this_thread::sleep_for(kStep);
  }
  if (terminal && options_.headless) std::printf("\n");
  return {};
}

void Demo::end() {
  for (auto* child : {&far_end_, &phone_, &service_, &room_}) {
    if (!*child) continue;
    if (!(*child)->stop(seconds(8))) say((*child)->name() + " had to be killed");
    child->reset();
  }
}

}  // namespace conclave::apps
