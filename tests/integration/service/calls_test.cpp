// SPDX-License-Identifier: Apache-2.0
// Participants call a real service with a real Janus: REST, SIP over TLS, SRTP, the mix and back.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <mutex>
#include <numbers>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "service/service.h"
#include "tests/integration/service/person.h"
#include "tests/support/temp_folder.h"

namespace conclave::service {
namespace {

using namespace std::chrono_literals;
struct Calls : testing::Test {
  test::TempFolder folder;
  std::unique_ptr<Service> service;

  void SetUp() override {
    ServiceConfig config;
    config.data = folder.path();
    config.silent_after_s = 3;
    auto started = Service::start(config);
    ASSERT_TRUE(started.ok()) << started.error().message;
    service = std::move(*started);
  }
  void TearDown() override { service.reset(); }
  static std::vector<float> listen(const Person& who, std::chrono::milliseconds length) {
    const std::int64_t from = SystemClock::now();
    std::this_thread::sleep_for(length + 20ms);
    return who.heard(from, from + length.count() * kMs);
  }
};

TEST_F(Calls, F110_F119_two_participants_hear_each_other_at_the_right_level) {
  Person anna(*service, "246810", "anna");
  Person bo(*service, "135790", "bo");
  ASSERT_TRUE(anna.participant && bo.participant);
  EXPECT_EQ(anna.participant->place().participant.role, protocol::Role::kChairperson);
  EXPECT_EQ(bo.participant->place().participant.role, protocol::Role::kParticipant);
  anna.say(1000);
  bo.say(400);
  std::this_thread::sleep_for(1500ms);
  const auto at_bo = listen(bo, 2000ms);
  const auto at_anna = listen(anna, 2000ms);
  EXPECT_NEAR(tone_db(at_bo, 1000), -23.0, 1.5);  // 0.1 peak
  EXPECT_NEAR(tone_db(at_anna, 400), -23.0, 1.5);
  EXPECT_LT(tone_db(at_bo, 400), -60.0);  // nobody hears himself
  const auto stats = bo.participant->stats();
  EXPECT_TRUE(stats.secured);
  EXPECT_LT(stats.rx_lost, 5u);
  EXPECT_EQ(stats.srtp_failures, 0u);
  EXPECT_GT(stats.rtcp_rx, 0u);
  EXPECT_GE(stats.rtt_ms, 0);  // RTCP is answered
  const auto leg = service->leg_stats(bo.id());
  EXPECT_EQ(leg.lost, 0u);
  EXPECT_EQ(leg.rejected, 0u);
  // Two packets become one; three of silence open the mixer, and late ones were filled in for.
  EXPECT_NEAR(static_cast<double>(leg.to_bridge) * 2, static_cast<double>(leg.from_phone),
              8.0 + 0.1 * static_cast<double>(leg.from_phone));
}

TEST_F(Calls, mouth_to_ear_through_the_service) {
  Person anna(*service, "246810", "anna");
  Person bo(*service, "135790", "bo");
  ASSERT_TRUE(anna.participant && bo.participant);
  std::this_thread::sleep_for(1500ms);
  std::vector<double> delays;
  for (int i = 0; i < 8; ++i) {
    anna.say(1000, 0.3);
    std::this_thread::sleep_for(600ms);
    const std::int64_t spoke = anna.spoke_at();
    anna.say(0);
    const auto sound = bo.heard(spoke, spoke + 500 * kMs);
    // The frame grid of the two differs by less than a frame, which the detection tolerates.
    std::size_t onset = sound.size();
    for (std::size_t k = 0; k < sound.size(); ++k) {
      if (std::abs(sound[k]) > 0.05f) {
        onset = k;
        break;
      }
    }
    ASSERT_LT(onset, sound.size()) << "burst " << i << " was not heard";
    delays.push_back(static_cast<double>(onset) / 48.0);
    std::this_thread::sleep_for(400ms + std::chrono::milliseconds(i * 3));
  }
  std::sort(delays.begin(), delays.end());
  std::printf("mouth to ear: min %.1f median %.1f max %.1f ms\n", delays.front(),
              delays[delays.size() / 2], delays.back());
  RecordProperty("median_ms", std::to_string(delays[delays.size() / 2]));
  // The jitter buffers follow the lateness of this machine's own threads; on an idle one the whole
  // way takes 55 to 80 ms.
  const double late_ms = std::max(anna.late_ms(), bo.late_ms());
  std::printf("late wake-ups of the two: p99 %.1f ms\n", late_ms);
  EXPECT_LT(delays[delays.size() / 2], 130.0 + 10.0 * late_ms);
}

TEST_F(Calls, F114_a_muted_line_is_silent_for_others) {
  Person anna(*service, "246810", "anna");
  Person bo(*service, "135790", "bo");
  ASSERT_TRUE(anna.participant && bo.participant);
  anna.say(1000);
  std::this_thread::sleep_for(1500ms);
  EXPECT_GT(tone_db(listen(bo, 500ms), 1000), -26.0);
  auto& rest = anna.participant->rest();
  ASSERT_TRUE(rest.mute("project-room", anna.id(), true).ok());
  std::this_thread::sleep_for(400ms);
  EXPECT_LT(rms_db(listen(bo, 700ms)), -60.0);
  EXPECT_TRUE(rest.roster("project-room")->participants.at(anna.id()).muted);
  ASSERT_TRUE(rest.mute("project-room", anna.id(), false).ok());
  EXPECT_TRUE(eventually([&] { return tone_db(listen(bo, 200ms), 1000) > -26.0; }, 1500ms));
}

TEST_F(Calls, roster_follows_talking_and_hanging_up) {
  Person anna(*service, "246810", "anna");
  auto bo = std::make_unique<Person>(*service, "135790", "bo");
  ASSERT_TRUE(anna.participant && bo->participant);
  auto& rest = anna.participant->rest();
  const std::string bo_id = bo->id();
  EXPECT_TRUE(
      eventually([&] { return rest.roster("project-room")->participants.size() == 2; }, 1000ms));
  const auto quiet = rest.roster("project-room");
  EXPECT_FALSE(quiet->participants.at(bo_id).talking);
  bo->say(500, 0.2);
  const auto talking = rest.poll_roster("project-room", quiet->revision, 5);
  ASSERT_TRUE(talking.ok()) << talking.error().message;
  EXPECT_TRUE(talking->participants.at(bo_id).talking);
  bo->say(0);
  const auto silent = rest.poll_roster("project-room", talking->revision, 5);
  ASSERT_TRUE(silent.ok());
  EXPECT_FALSE(silent->participants.at(bo_id).talking);
  bo.reset();  // BYE
  const auto alone = rest.poll_roster("project-room", silent->revision, 5);
  ASSERT_TRUE(alone.ok());
  EXPECT_EQ(alone->participants.count(bo_id), 0u);
}

TEST_F(Calls, F116_who_joins_muted_hears_the_others) {
  Person anna(*service, "246810", "anna");
  ASSERT_TRUE(anna.participant);
  anna.say(1000);
  ASSERT_TRUE(anna.participant->rest().mute_all("project-room", true).ok());
  Person bo(*service, "135790", "bo");
  ASSERT_TRUE(bo.participant);
  bo.say(400);
  EXPECT_TRUE(eventually([&] { return tone_db(listen(bo, 200ms), 1000) > -26.0; }, 3000ms));
  EXPECT_LT(tone_db(listen(anna, 300ms), 400), -60.0);
  ASSERT_TRUE(anna.participant->rest().mute_all("project-room", false).ok());
  EXPECT_TRUE(eventually([&] { return tone_db(listen(anna, 200ms), 400) > -26.0; }, 3000ms));
}

TEST_F(Calls, F112_the_chairperson_ejects) {
  Person anna(*service, "246810", "anna");
  Person bo(*service, "135790", "bo");
  ASSERT_TRUE(anna.participant && bo.participant);
  EXPECT_FALSE(bo.participant->rest().leave("project-room", anna.id()).ok());
  EXPECT_TRUE(anna.participant->rest().leave("project-room", bo.id()).ok());
  EXPECT_TRUE(eventually([&] { return bo.participant->ended(); }, 2000ms));
  EXPECT_FALSE(anna.participant->ended());
}

TEST_F(Calls, F121_a_call_without_valid_credentials_is_refused) {
  apps::RestClient rest(service->rest_address(), service->ca_file());
  ASSERT_TRUE(rest.login({"thief", "", "", ""}).ok());
  std::mutex mutex;
  int code = 0;
  const std::string sip_folder = folder.path("thief");
  media::SignallingConfig config;
  config.bind_address = "127.0.0.1";
  config.folder = sip_folder;
  config.ca_file = service->ca_file();
  auto signalling = media::create_signalling(config, [&](const media::SignallingEvent& e) {
    const std::lock_guard lock(mutex);
    if (e.kind == media::SignallingEvent::Kind::kEnded) code = e.code;
    if (e.kind == media::SignallingEvent::Kind::kAnswered) code = 200;
  });
  ASSERT_TRUE(signalling.ok()) << signalling.error().message;
  media::LocalMedia local;
  local.address = "127.0.0.1";
  local.port = 40000;
  for (const std::string header : {"", "p0;guess", ";;;"}) {
    code = 0;
    media::SipInvite invite;
    invite.target =
        "sip:project-room@127.0.0.1:" + std::to_string(service->sip_port()) + ";transport=tls";
    invite.offer = *media::make_offer(local);
    if (!header.empty()) invite.headers.push_back({"X-Conclave-Participant", header});
    ASSERT_TRUE((*signalling)->invite(invite).ok());
    EXPECT_TRUE(eventually(
        [&] {
          const std::lock_guard lock(mutex);
          return code != 0;
        },
        5000ms));
    EXPECT_EQ(code, 403) << header;
  }
}

TEST_F(Calls, the_call_goes_on_when_the_mixer_is_killed) {
  Person anna(*service, "246810", "anna");
  Person bo(*service, "135790", "bo");
  ASSERT_TRUE(anna.participant && bo.participant);
  anna.say(1000);
  std::this_thread::sleep_for(1500ms);
  ASSERT_GT(tone_db(listen(bo, 300ms), 1000), -26.0);
  const int first = service->bridge_status().pid;
  ASSERT_GT(first, 1);
  ASSERT_EQ(kill(first, SIGKILL), 0);
  const std::int64_t killed = SystemClock::now();
  std::this_thread::sleep_for(200ms);
  EXPECT_TRUE(eventually([&] { return tone_db(listen(bo, 100ms), 1000) > -26.0; }, 4000ms));
  const double gap_ms = static_cast<double>(SystemClock::now() - killed) / 1e6;
  std::printf("heard again %.0f ms after the mixer was killed\n", gap_ms);
  EXPECT_LT(gap_ms, 2000.0);
  EXPECT_NE(service->bridge_status().pid, first);
  EXPECT_EQ(service->bridge_status().restarts, 1);
  EXPECT_FALSE(anna.participant->ended());
  EXPECT_FALSE(bo.participant->ended());
  EXPECT_NEAR(tone_db(listen(bo, 1000ms), 1000), -23.0, 1.5);
}

TEST_F(Calls, a_mixer_that_hangs_is_replaced) {
  Person anna(*service, "246810", "anna");
  Person bo(*service, "135790", "bo");
  ASSERT_TRUE(anna.participant && bo.participant);
  anna.say(1000);
  std::this_thread::sleep_for(1000ms);
  const int first = service->bridge_status().pid;
  ASSERT_EQ(kill(first, SIGSTOP), 0);
  EXPECT_TRUE(eventually([&] { return service->bridge_status().restarts == 1; }, 8000ms));
  EXPECT_TRUE(eventually([&] { return tone_db(listen(bo, 100ms), 1000) > -26.0; }, 3000ms));
}

TEST_F(Calls, janus_ends_with_the_service) {
  const int pid = service->bridge_status().pid;
  ASSERT_EQ(kill(pid, 0), 0);
  service.reset();
  EXPECT_NE(kill(pid, 0), 0);
}

}  // namespace
}  // namespace conclave::service
