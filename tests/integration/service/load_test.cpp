// SPDX-License-Identifier: Apache-2.0
// A small crowd against a real service with a real Janus; `conclave bench service` is the large
// one.
#include <gtest/gtest.h>

#include <fstream>

#include "apps/load/service_load.h"
#include "service/service.h"
#include "tests/support/temp_folder.h"

namespace conclave::service {
namespace {

TEST(ServiceLoad, sixteen_phones_in_four_meetings_join_and_hear) {
  const test::TempFolder folder;
  ServiceConfig config;
  config.data = folder.path("service");
  config.directory_file = folder.path("meetings.json");
  std::string meetings;
  apps::ServiceLoadConfig load;
  for (int i = 0; i < 4; ++i) {
    const std::string n = std::to_string(i);
    meetings += (i > 0 ? "," : "") + (R"({"id":"m)" + n) +
                R"(","title":"Meeting","chairperson_passcode":"50)" + n +
                R"(","participant_passcode":"60)" + n + "\"}";
    load.passcodes.push_back("60" + n);
  }
  std::ofstream(config.directory_file) << R"({"conferences":[)" << meetings << "]}";
  auto service = Service::start(config);
  ASSERT_TRUE(service.ok()) << service.error().message;
  load.rest = (*service)->rest_address();
  load.ca_file = (*service)->ca_file();
  load.phones = 16;
  load.seconds = 4;
  const auto report = apps::run_service_load(load, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->joined, 16);
  EXPECT_TRUE(report->failures.empty()) << report->failures.front();
  EXPECT_EQ(report->ended, 0);
  EXPECT_EQ(report->rejected, 0u);
  // Time is not what is tested: a busy machine may be late, but what is sent must come.
  EXPECT_LT(report->loss_percent, 10.0);
  EXPECT_GT(report->join_p50_ms, 0);
  EXPECT_GT(report->rosters, 16u);
}

TEST(ServiceLoad, wrong_use_is_told) {
  EXPECT_FALSE(apps::run_service_load({}, {}).ok());
  apps::ServiceLoadConfig odd;
  odd.passcodes = {"1"};
  odd.ptime_ms = 15;
  EXPECT_FALSE(apps::run_service_load(odd, {}).ok());
}

}  // namespace
}  // namespace conclave::service
