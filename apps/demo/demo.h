// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
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
  std::string voice = "en";  ///< the far end's language
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

  const std::string& url() const { return url_; }
  double seconds_to_join() const { return seconds_to_join_; }
  double seconds_in_call() const { return seconds_in_call_; }
  std::filesystem::path room_directory() const { return options_.data / "room"; }
  std::filesystem::path far_end_directory() const { return options_.data / "far-end"; }
  std::filesystem::path phone_report() const { return options_.data / "phone-report.json"; }

 private:
  Status start_room_and_service();
  Status start_phone();
  Status start_far_end();
  Status wait_until_active();
  Result<ChildProcess> launch(const std::string& name, std::vector<std::string> command,
                              bool with_sound_cards = false) const;
  void say(const std::string& text) const;
  std::string program(const std::string& name) const { return options_.binaries / name; }

  DemoOptions options_;
  const std::atomic<bool>& stop_;
  std::optional<ChildProcess> room_, service_, phone_, far_end_;
  nlohmann::json service_ready_;
  std::string url_;
  double seconds_to_join_ = 0.0;
  double seconds_in_call_ = 0.0;
};

}  // namespace conclave::apps
