// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <fstream>
#include <iostream>
#include <thread>

#include "apps/demo/call_report.h"
#include "apps/demo/child_process.h"
#include "tests/integration/call/call_fixture.h"

namespace conclave::apps {
namespace {

using nlohmann::json;
using std::chrono::seconds;

TEST_F(CallTest, the_report_of_a_call_is_whole_and_within_its_bounds) {
  const std::string file = folder_.string() + "-report.json";
  auto run = ChildProcess::start(
      {"demo",
       {std::string(CONCLAVE_BINARIES) + "/conclave", "demo", "--headless", "--seconds", "30",
        "--report", file, "--data", folder_, "--ui", CONCLAVE_UI, "--port", "0"},
       {},
       folder_.string() + ".log"});
  ASSERT_TRUE(run.ok());
  ASSERT_TRUE(run->wait(seconds(120)));
  ASSERT_EQ(run->exit_code(), 0) << run->last_words();
  std::ifstream in(file);
  const json report = json::parse(in, nullptr, false);
  ASSERT_TRUE(report.is_object());
  std::cout << report.dump(1) << "\n";
  std::filesystem::remove(file);
  std::filesystem::remove(folder_.string() + ".log");

  for (const char* field : {"/joined",
                            "/seconds_to_join",
                            "/seconds",
                            "/mouth_to_ear_ms/p50",
                            "/mouth_to_ear_ms/p99",
                            "/uplink/packets",
                            "/uplink/lost",
                            "/uplink/concealed_ms",
                            "/downlink/packets",
                            "/downlink/lost",
                            "/downlink/concealed_ms",
                            "/engine/blocks",
                            "/engine/late",
                            "/engine/xruns",
                            "/engine/cpu_us_per_10ms/p50",
                            "/engine/cpu_us_per_10ms/p99",
                            "/engine/cpu_us_per_10ms/p9999",
                            "/engine/cpu_us_per_10ms/max",
                            "/engine/core_percent",
                            "/erle_db",
                            "/violations",
                            "/recordings/raw_mic",
                            "/recordings/sent",
                            "/recordings/played",
                            "/direction/share_within_10_deg"}) {
    EXPECT_TRUE(report.contains(json::json_pointer(field))) << field;
  }
  EXPECT_TRUE(report.value("joined", false));
  EXPECT_EQ(report.value("violations", -1), 0);
  EXPECT_GT(report["engine"].value("blocks", 0), 2900);
  EXPECT_GT(report["uplink"].value("packets", 0), 2900);
  EXPECT_GE(report.value("erle_db", 0.0), 20.0);
  EXPECT_GE(report["direction"].value("share_within_10_deg", 0.0), 0.8);
  // A bound on structure (a buffer too many), not on the machine's mood.
  EXPECT_LT(report["mouth_to_ear_ms"].value("p50", 1e9), 160.0);
  for (const char* name : {"raw_mic", "sent", "played"}) {
    EXPECT_GT(std::filesystem::file_size(report["recordings"].value(name, "")), 1'000'000u) << name;
  }
}

TEST_F(CallTest, the_far_end_hears_the_room_and_not_the_muted_room) {
  start_call();
  // Somebody in the room speaks within the loop's first pauses.
  double loudest = -200.0;
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    loudest = std::max(loudest, far_end_hears_dbfs());
  }
  EXPECT_GT(loudest, -45.0);
  ASSERT_TRUE(demo_->ask("call.mute", {{"muted", true}}).ok());
  std::this_thread::sleep_for(seconds(2));
  EXPECT_LT(far_end_hears_dbfs(), -70.0) << "muted";
  ASSERT_TRUE(demo_->ask("call.mute", {{"muted", false}}).ok());
  loudest = -200.0;
  for (int i = 0; i < 24; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    loudest = std::max(loudest, far_end_hears_dbfs());
  }
  EXPECT_GT(loudest, -45.0) << "and back";
}

TEST_F(CallTest, F42_F45_a_browser_sees_and_works_the_phone) {
  start_call();
  std::filesystem::create_directories(CONCLAVE_PICTURES);
  std::this_thread::sleep_for(seconds(8));  // something to look at in the plots
  auto browser =
      ChildProcess::start({"browser",
                           {"node", CONCLAVE_BROWSER_TEST, "--url", demo_->url(), "--out",
                            CONCLAVE_PICTURES, "--passcode", demo_->chairperson_passcode(),
                            "--far-end-recording", demo_->far_end_directory() / "played.wav"},
                           {},
                           folder_ / "logs" / "browser.log"});
  ASSERT_TRUE(browser.ok());
  for (;;) {
    const auto line = browser->read_line(seconds(120));
    if (!line) break;
    std::cout << *line << "\n";
  }
  ASSERT_TRUE(browser->wait(seconds(10)));
  EXPECT_EQ(browser->exit_code(), 0) << browser->last_words();
}

}  // namespace
}  // namespace conclave::apps
