// SPDX-License-Identifier: Apache-2.0
#include "apps/demo/demo.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "control/door/door_client.h"

namespace conclave::apps {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr auto kStartPatience = seconds(20);
constexpr auto kJoinPatience = seconds(30);
constexpr auto kStep = milliseconds(50);
constexpr int kAnswerPatienceMs = 2000;

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

Status Demo::prepare() { return make_directories(options_.data); }

Status Demo::start_room() {
  std::vector<std::string> room = {program("conclave"), "room", "serve", "--dir", room_directory()};
  if (!options_.scene.empty()) room.insert(room.end(), {"--scene", options_.scene});
  CONCLAVE_TRY(room_, launch("room", std::move(room)));
  CONCLAVE_TRY(const std::string ready, room_->read_line(kStartPatience));
  const json parsed = json::parse(ready, nullptr, false);
  if (!parsed.is_object()) return Error{"the room's ready line makes no sense: " + ready};
  room_control_ = parsed.value("control", "");
  // The room's own copy goes with it; the report needs it later.
  std::ofstream(room_ready()) << ready << "\n";
  return {};
}

Status Demo::start_service() {
  // A phone that knows the service must find it where it was.
  const auto port = [this](const char* key) {
    const std::string address = service_ready_.value(key, "");
    const auto scheme = address.find("://");
    const auto begin = address.find(':', scheme == std::string::npos ? 0 : scheme + 3);
    return begin == std::string::npos ? std::string("0")
                                      : std::to_string(std::atoi(address.c_str() + begin + 1));
  };
  CONCLAVE_TRY(service_,
               launch("service", {program("conclave-service"), "--data", options_.data / "service",
                                  "--rest-port", port("rest"), "--sip-port", port("sip")}));
  CONCLAVE_TRY(const std::string ready, service_->read_line(kStartPatience));
  json parsed = json::parse(ready, nullptr, false);
  if (!parsed.is_object() || !parsed.value("ready", false) || !parsed.contains("conferences") ||
      parsed["conferences"].empty()) {
    return Error{"the service's ready line makes no sense: " + ready};
  }
  service_ready_ = std::move(parsed);
  std::ofstream(options_.data / "service-ready.json") << ready << "\n";
  return {};
}

std::string Demo::chairperson_passcode() const {
  return service_ready_["conferences"][0].value("chairperson_passcode", "");
}
std::string Demo::participant_passcode() const {
  return service_ready_["conferences"][0].value("participant_passcode", "");
}

Status Demo::start_phone(const std::string& passcode) {
  std::vector<std::string> command = {
      program("conclaved"), "--data", phone_directory(), "--profile",
      room_directory() / "profile.json", "--ring", "conclave_ring", "--satellite", "conclave_sat1",
      "--satellite", "conclave_sat2", "--listen", options_.listen, "--port",
      std::to_string(options_.port), "--ui", options_.ui, "--service-ca",
      service_ready_.value("ca", ""), "--set",
      "Dvms.Server.Address=" + service_ready_.value("rest", ""),
      // All that the phone needs has just been said.
      "--set", "Provisioning.Setup.Methods=", "--report", phone_report()};
  if (!passcode.empty()) command.insert(command.end(), {"--join", passcode});
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
  CONCLAVE_TRY(far_end_, launch("far-end", {program("conclave"), "far-end", "--service",
                                            options_.data / "service-ready.json", "--ca",
                                            service_ready_.value("ca", ""), "--passcode",
                                            participant_passcode(), "--name", "Far end", "--voice",
                                            options_.voice, "--talk-schedule", "7,4,4", "--record",
                                            far_end_directory()}));
  return {};
}

Result<json> Demo::ask(const std::string& method, const json& params) {
  CONCLAVE_TRY(
      const std::string text,
      control::ask_local_door(
          control::local_door_path(phone_directory()),
          json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}}.dump(),
          kAnswerPatienceMs));
  json answer = json::parse(text, nullptr, false);
  if (!answer.is_object()) return Error{"the phone's answer makes no sense: " + text};
  if (answer.contains("error")) {
    const json& error = answer["error"];
    const json data = error.value("data", json::object());
    return Error{error.value("message", "refused"), data.is_object() ? data.value("id", "") : ""};
  }
  return answer.value("result", json::object());
}

Status Demo::wait_for_call(const std::string& state, milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  std::string last = "unknown";
  while (Clock::now() < deadline && !stop_) {
    if (const auto answer = ask("state.resync")) {
      const json tree = answer->value("state", json::object());
      const json call = tree.value("call", json::object());
      last = call.value("state", "unknown");
      if (last == state) return {};
      if (last == "failed") {
        return Error{"the phone could not join: " +
                     call.value("error", json::object()).value("message", "no reason given")};
      }
    }
    if (!phone_->running()) return Error{"the phone ended; its log says: " + phone_->last_words()};
    std::this_thread::sleep_for(kStep);
  }
  if (stop_) return Error{"stopped before the call was " + state};
  return Error{"the call did not become " + state + " in time (it is " + last + "); logs are in " +
               (options_.data / "logs").string()};
}

Result<json> Demo::tell_room(const std::string& command) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (fd < 0 || room_control_.size() >= sizeof address.sun_path) {
    if (fd >= 0) close(fd);
    return Error{"the room's control socket " + room_control_ + " cannot be used"};
  }
  std::copy(room_control_.begin(), room_control_.end(), address.sun_path);
  timeval patience{2, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const std::string line = command + "\n";
  std::string text;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size())) {
    char buffer[4096];
    while (text.find('\n') == std::string::npos) {
      const ssize_t got = read(fd, buffer, sizeof buffer);
      if (got <= 0) break;
      text.append(buffer, static_cast<std::size_t>(got));
    }
  }
  close(fd);
  json answer = json::parse(text, nullptr, false);
  if (!answer.is_object()) return Error{"the room does not answer to: " + command};
  return answer;
}

Status Demo::start() {
  CONCLAVE_CHECK_STATUS(prepare());
  const auto begin = Clock::now();
  CONCLAVE_CHECK_STATUS(start_room());
  CONCLAVE_CHECK_STATUS(start_service());
  CONCLAVE_CHECK_STATUS(start_phone(chairperson_passcode()));
  CONCLAVE_CHECK_STATUS(start_far_end());
  CONCLAVE_CHECK_STATUS(wait_for_call("active", kJoinPatience));
  CONCLAVE_TRY(const std::string joined, far_end_->read_line(kJoinPatience));
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
