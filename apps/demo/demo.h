// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "apps/demo/child_process.h"
#include "base/result.h"

namespace conclave::apps {

struct DemoOptions {
  std::filesystem::path binaries;  ///< where conclaved, conclave and conclave-service are
  std::filesystem::path data;      ///< everything the demo writes
  std::filesystem::path ui;        ///< the built web UI
  std::string listen = "127.0.0.1";
  int port = 8443;
  std::string scene;         ///< a scene file for the room; empty: the built-in one
  std::string voice = "fr";  ///< the far end's language
  bool headless = false;
  double seconds = 30.0;  ///< headless: how long the joined call lasts
  std::string report;     ///< headless: where R.json goes
  bool quiet = false;
};

/// The whole phone in its virtual room: starts the room, the service, the phone and a far-end
/// participant, each a process of its own, and ends them in order. One thread; `stop` may be set
/// from a signal handler.
class Demo {
 public:
  Demo(DemoOptions options, const std::atomic<bool>& stop);

  /// Starts everything and waits until the phone's call is active.
  Status start();
  /// Until `stop` is set or, headless, the time is over. Fails when a part dies.
  Status run();
  /// Far end, phone, service, room: in this order, so that each can say goodbye to the next.
  void end();

  /// The parts one by one, for tests that leave one out, kill it or start it late.
  Status prepare();  ///< folders
  Status start_room();
  Status start_service();  ///< on its earlier ports, where it ran before
  void stop_service() { service_.reset(); }
  Status start_phone(const std::string& passcode);
  void stop_phone() { phone_.reset(); }
  Status start_far_end();
  void stop_far_end() { far_end_.reset(); }
  /// Waits until the call is in `state`; fails at once when it fails instead.
  Status wait_for_call(const std::string& state, std::chrono::milliseconds patience);
  /// Asks the running phone through its local door; the result of the method.
  Result<nlohmann::json> ask(const std::string& method,
                             const nlohmann::json& params = nlohmann::json::object());
  /// One command to the room's control socket ("unplug ring"); its answer.
  Result<nlohmann::json> tell_room(const std::string& command);

  const std::string& url() const { return url_; }
  const nlohmann::json& service_ready() const { return service_ready_; }
  std::string chairperson_passcode() const;
  std::string participant_passcode() const;
  double seconds_to_join() const { return seconds_to_join_; }
  double seconds_in_call() const { return seconds_in_call_; }
  bool phone_running() { return phone_ && phone_->running(); }
  std::filesystem::path room_directory() const { return options_.data / "room"; }
  std::filesystem::path room_ready() const { return options_.data / "room-ready.json"; }
  std::filesystem::path far_end_directory() const { return options_.data / "far-end"; }
  std::filesystem::path phone_directory() const { return options_.data / "phone"; }
  std::filesystem::path phone_report() const { return options_.data / "phone-report.json"; }

 private:
  Result<ChildProcess> launch(const std::string& name, std::vector<std::string> command,
                              bool with_sound_cards = false) const;
  void say(const std::string& text) const;
  std::string program(const std::string& name) const { return options_.binaries / name; }

  DemoOptions options_;
  const std::atomic<bool>& stop_;
  std::optional<ChildProcess> room_, service_, phone_, far_end_;
  nlohmann::json service_ready_ = nlohmann::json::object();
  std::string url_;
  std::string room_control_;
  double seconds_to_join_ = 0.0;
  double seconds_in_call_ = 0.0;
};

}  // namespace conclave::apps
