// SPDX-License-Identifier: Apache-2.0
#include "control/conference/conference.h"

#include <set>

#include "tests/control/phone_on_fakes.h"

namespace conclave::control {
namespace {

using test::eventually;
using test::failure;
using Json = nlohmann::json;

TEST(CallMachine, every_row_can_be_reached_and_no_state_is_a_trap) {
  std::set<CallState> reached = {CallState::kIdle};
  std::set<CallState> left;
  for (const CallEdge& edge : call_edges()) {
    reached.insert(edge.to);
    left.insert(edge.from);
  }
  EXPECT_EQ(reached.size(), std::size_t{kCallStateCount});
  EXPECT_EQ(left.size(), std::size_t{kCallStateCount});
  for (int i = 0; i < kCallStateCount; ++i) {
    const auto state = static_cast<CallState>(i);
    EXPECT_EQ(row_of(state).state, state);
    // What may last for ever must be left by somebody's wish; the rest has a deadline and an edge
    // for it.
    if (row_of(state).limit.count() > 0) {
      bool has = false;
      for (const CallEdge& edge : call_edges()) {
        has |= edge.from == state && edge.event == CallEvent::kDeadline && !edge.persistent;
      }
      EXPECT_TRUE(has) << name_of(state);
    }
  }
}

TEST(CallMachine, deadlines_name_errors_of_the_catalogue) {
  for (int i = 0; i < kCallStateCount; ++i) {
    const auto& row = row_of(static_cast<CallState>(i));
    if (!row.deadline_error.empty()) {
      EXPECT_NE(find_error(row.deadline_error), nullptr);
    }
  }
}

TEST(CallMachine, retries_wait_longer_each_time_and_not_all_phones_at_once) {
  EXPECT_EQ(retry_delay(1, 0.5).count(), 1000);
  EXPECT_EQ(retry_delay(3, 0.5).count(), 4000);
  EXPECT_EQ(retry_delay(100, 0.5).count(), 30000);
  EXPECT_LT(retry_delay(4, 0.0), retry_delay(4, 1.0));
}

using ConferenceTest = test::PhoneOnFakes;

TEST_F(ConferenceTest, F119_passcode_and_the_phones_own_registration) {
  EXPECT_EQ(ask("call.join", {{"passcode", "246810"}})["result"]["state"], "service_login");
  ASSERT_TRUE(call_is("active"));
  EXPECT_EQ(call()["conference"]["title"], "Project room");
  EXPECT_EQ(call()["conference"]["role"], "chairperson");
  EXPECT_EQ(call()["codec"], "Opus 48 kHz 10 ms");
  EXPECT_FALSE(call().contains("error"));
  on_loop([&] {
    EXPECT_EQ(service_->count("login"), 1);
    EXPECT_EQ(service_->token_seen, "token-1");
    EXPECT_EQ(service_->email, "");
    ASSERT_EQ(calls_.configs.size(), 1U);
    EXPECT_EQ(calls_.configs[0].header_name, "X-Conclave-Participant");
    EXPECT_EQ(calls_.configs[0].header_value, "p1;token-1");
    EXPECT_EQ(calls_.configs[0].transport, "tls");
  });
}

TEST_F(ConferenceTest, the_engine_knows_when_there_is_a_call) {
  EXPECT_FALSE(audio_.in_call);
  ask("call.join", {{"passcode", "246810"}});
  EXPECT_TRUE(eventually([&] { return audio_.in_call.load(); }));
  ask("call.leave");
  EXPECT_TRUE(eventually([&] { return !audio_.in_call; }));
}

TEST_F(ConferenceTest, F119_passcode_and_email) {
  ask("call.join", {{"passcode", "246810"}, {"email", "anna@example.com"}});
  ASSERT_TRUE(call_is("active"));
  on_loop([&] { EXPECT_EQ(service_->email, "anna@example.com"); });
}

TEST_F(ConferenceTest, F69_display_name_goes_to_the_roster) {
  settings_.apply(Layer::kLocal, {{"Sip.Account.DisplayName", "Room 4"}});
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  on_loop([&] { EXPECT_EQ(service_->display_name, "Room 4"); });
}

TEST_F(ConferenceTest, F118_email_and_passcode_are_checked_on_the_phone) {
  const Json bad_mail = ask("call.join", {{"passcode", "246810"}, {"email", "a@"}});
  EXPECT_EQ(bad_mail["error"]["data"]["id"], "IN-EMAIL");
  EXPECT_FALSE(bad_mail["error"]["data"]["remedy"].get<std::string>().empty());
  EXPECT_EQ(ask("call.join", {{"passcode", "12a"}})["error"]["data"]["id"], "IN-PASSCODE");
  EXPECT_EQ(ask("call.join", {{"passcode", ""}})["error"]["data"]["id"], "IN-PASSCODE");
  on_loop([&] { EXPECT_TRUE(service_->asked.empty()); });
}

TEST_F(ConferenceTest, F133_a_wrong_passcode_is_told_and_not_tried_again) {
  on_loop([&] { service_->join_fails = failure("JOIN-NOTFOUND", true); });
  ask("call.join", {{"passcode", "999999"}});
  ASSERT_TRUE(call_is("failed"));
  EXPECT_EQ(call()["error"]["id"], "JOIN-NOTFOUND");
  EXPECT_EQ(call()["error"]["message"], "Meeting not found.");
  std::this_thread::sleep_for(std::chrono::milliseconds(1400));
  EXPECT_EQ(call()["state"], "failed");
  on_loop([&] {
    EXPECT_EQ(service_->count("join 999999"), 1);
    service_->join_fails.reset();
  });
  // The next try clears the message.
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  EXPECT_FALSE(call().contains("error"));
}

TEST_F(ConferenceTest, F131_a_network_failure_shows_service_unavailable_with_its_code) {
  on_loop([&] { service_->login_fails = failure("NET-950", false); });
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("failed"));
  EXPECT_EQ(call()["error"]["id"], "NET-950");
  EXPECT_EQ(call()["error"]["code"], 950);
  EXPECT_EQ(call()["error"]["umbrella"]["message"], "Service unavailable.");
  EXPECT_EQ(phone_->state().snapshot()->state["service"]["reachable"], false);
}

TEST_F(ConferenceTest, F127_messages_are_shown_in_the_phones_language) {
  EXPECT_TRUE(settings_.apply(Layer::kLocal, {{"Device.Language", "de"}}).ok());
  on_loop([&] { service_->login_fails = failure("NET-950", false); });
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("failed"));
  EXPECT_EQ(call()["error"]["id"], "NET-950");
  EXPECT_EQ(call()["error"]["message"], "Der Server hat die Verbindungsanfrage abgelehnt.");
  EXPECT_EQ(call()["error"]["umbrella"]["message"], "Der Dienst ist nicht verf\u00fcgbar.");
  // What is shown changes with the language.
  EXPECT_TRUE(settings_.apply(Layer::kLocal, {{"Device.Language", "fr"}}).ok());
  EXPECT_TRUE(eventually([&] {
    return call()["error"]["message"] == "Le serveur a refus\u00e9 la demande de connexion.";
  }));
  EXPECT_EQ(phone_->state().snapshot()->state["device"]["language"], "fr");
  const Json refused = ask("call.join", {{"passcode", "12a"}});
  EXPECT_EQ(refused["error"]["message"], "Code d\u2019acc\u00e8s non valide.");
  EXPECT_EQ(ask("errors.list")["result"][0]["language"], "fr");
  EXPECT_EQ(ask("errors.list", {{"language", "es"}})["result"][0]["language"], "es");
  EXPECT_EQ(ask("errors.list", {{"language", "tlh"}})["result"][0]["language"], "en");
  EXPECT_TRUE(ask("errors.list", {{"language", 7}}).contains("error"));
}

TEST_F(ConferenceTest, F9_F67_contacts_and_firewall_requirements_are_told_by_state_and_method) {
  const Json told = ask("provider.show")["result"];
  EXPECT_EQ(told["support"].size(), 3U);
  EXPECT_FALSE(told["firewall"]["requirements"].empty());
  EXPECT_EQ(phone_->state().snapshot()->state["provider"], told);
}

TEST_F(ConferenceTest, service_down_at_start_and_coming_up_later_is_joined_by_itself) {
  on_loop([&] {
    service_->login_fails = failure("NET-950", false);
    EXPECT_TRUE(phone_->conference().join_and_stay("246810", "").ok());
  });
  ASSERT_TRUE(call_is("retrying"));
  EXPECT_EQ(call()["error"]["id"], "NET-950");
  on_loop([&] { service_->login_fails.reset(); });
  ASSERT_TRUE(call_is("active", 4000));
  EXPECT_FALSE(call().contains("error"));
}

TEST_F(ConferenceTest, staying_in_does_not_repeat_a_wrong_passcode) {
  on_loop([&] {
    service_->join_fails = failure("JOIN-NOTFOUND", true);
    EXPECT_TRUE(phone_->conference().join_and_stay("999999", "").ok());
  });
  EXPECT_TRUE(call_is("failed"));
}

TEST_F(ConferenceTest, F124_an_invalid_token_is_renewed_once) {
  on_loop([&] { service_->join_fails = failure("JOIN-UNABLE", true, true); });
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("failed"));
  EXPECT_EQ(call()["error"]["id"], "JOIN-UNABLE");
  on_loop([&] {
    EXPECT_EQ(service_->count("login"), 2);
    EXPECT_EQ(service_->count("join 246810"), 2);
  });
}

TEST_F(ConferenceTest, F121_sip_server_unreachable_is_903) {
  on_loop([&] { calls_.refuse = catalogue_error("SIG-903"); });
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("failed"));
  EXPECT_EQ(call()["error"]["code"], 903);
  on_loop([&] {
    EXPECT_EQ(calls_.alive, 0);
    EXPECT_EQ(service_->count("leave"), 1);  // no ghost stays in the roster
  });
}

TEST_F(ConferenceTest, F114_mute_acts_on_the_microphones_at_once_and_tells_the_service) {
  EXPECT_EQ(ask("call.mute", {{"muted", true}})["result"]["muted"], true);
  EXPECT_TRUE(audio_.muted);  // before there is any call
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  EXPECT_EQ(call()["muted"], true);
  EXPECT_TRUE(eventually([&] {
    int n = 0;
    on_loop([&] { n = service_->count("mute"); });
    return n == 1;
  }));
  ask("call.mute", {{"muted", false}});
  EXPECT_FALSE(audio_.muted);
}

TEST_F(ConferenceTest, F114_a_refused_unmute_is_told_with_the_guides_message) {
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  on_loop([&] { service_->mute_fails = failure("CC-MUTE-SELF", true); });
  ask("call.mute", {{"muted", true}});
  ASSERT_TRUE(eventually([&] { return call().contains("error"); }));
  EXPECT_EQ(call()["error"]["id"], "CC-MUTE-SELF");
  EXPECT_TRUE(audio_.muted);  // privacy does not depend on the service
}

TEST_F(ConferenceTest, F115_a_chairperson_can_mute_this_line_but_never_open_it) {
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  const auto push = [&](std::uint64_t revision, bool muted) {
    ASSERT_TRUE(eventually([&] {
      bool waiting = false;
      on_loop([&] { waiting = static_cast<bool>(service_->waiting_poll); });
      return waiting;
    }));
    on_loop([&] {
      service::protocol::Roster roster;
      roster.revision = revision;
      roster.participants["p1"] = {"Us", service::protocol::Role::kParticipant, muted, false};
      roster.participants["p2"] = {"Anna", service::protocol::Role::kChairperson, false, true};
      auto done = std::move(service_->waiting_poll);
      done(roster);
    });
  };
  push(1, true);
  EXPECT_TRUE(eventually([&] { return audio_.muted.load(); }));
  EXPECT_EQ(call()["muted"], true);
  const Json roster = phone_->state().snapshot()->state["roster"];
  EXPECT_EQ(roster["p2"]["name"], "Anna");
  EXPECT_EQ(roster["p1"]["self"], true);
  push(2, false);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(audio_.muted);
}

TEST_F(ConferenceTest, lost_sound_joins_again_by_itself) {
  settings_.apply(Layer::kLocal, {{"Conference.MediaTimeout", 2}});
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  on_loop([&] { calls_.sound = false; });
  ASSERT_TRUE(call_is("retrying", 5000));
  on_loop([&] { calls_.sound = true; });
  ASSERT_TRUE(call_is("active", 5000));
  on_loop([&] {
    EXPECT_EQ(calls_.made, 2);
    EXPECT_EQ(phone_->conference().rejoins(), 1);
  });
}

TEST_F(ConferenceTest, F108_a_lost_sip_connection_fails_over_unless_switched_off) {
  settings_.apply(Layer::kLocal, {{"Dvms.Failover", false}});
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  on_loop([&] { calls_.events.ended(catalogue_error("SIG-903"), false); });
  EXPECT_TRUE(call_is("failed"));
  settings_.apply(Layer::kLocal, {{"Dvms.Failover", true}});
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  on_loop([&] { calls_.events.ended(catalogue_error("SIG-903"), false); });
  EXPECT_TRUE(call_is("retrying"));
  EXPECT_TRUE(call_is("active"));
}

TEST_F(ConferenceTest, F112_an_ejected_phone_does_not_force_its_way_back) {
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  on_loop([&] { calls_.events.ended(Error{"bye"}, true); });
  EXPECT_TRUE(call_is("idle"));
  on_loop([&] { EXPECT_EQ(calls_.made, 1); });
}

TEST_F(ConferenceTest, a_service_that_restarts_gets_the_phone_back) {
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  on_loop([&] {
    service_->roster_fails = failure("NET-950", false);
    calls_.events.ended(Error{"bye"}, true);
  });
  EXPECT_TRUE(call_is("retrying"));
  EXPECT_TRUE(call_is("active"));
}

TEST_F(ConferenceTest, leaving_tells_the_service_and_clears_everything) {
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  ask("call.leave");
  ASSERT_TRUE(call_is("idle"));
  on_loop([&] { EXPECT_EQ(service_->count("leave"), 1); });
  on_loop([&] { EXPECT_EQ(calls_.alive, 0); });
  EXPECT_FALSE(call().contains("conference"));
  EXPECT_TRUE(phone_->state().snapshot()->state["roster"].empty());
  // The passcode is nowhere in what anybody can see.
  EXPECT_EQ(phone_->state().snapshot()->state.dump().find("246810"), std::string::npos);
}

TEST_F(ConferenceTest, leaving_stops_attempts_in_any_state) {
  on_loop([&] { service_->silent = true; });
  ask("call.join", {{"passcode", "246810"}});
  EXPECT_EQ(call()["state"], "service_login");
  ask("call.leave");
  EXPECT_TRUE(call_is("idle"));
  EXPECT_EQ(ask("call.leave")["result"]["state"], "idle");
}

TEST_F(ConferenceTest, a_second_join_is_refused_while_one_is_there) {
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  EXPECT_TRUE(ask("call.join", {{"passcode", "135790"}}).contains("error"));
  EXPECT_EQ(call()["state"], "active");
}

TEST_F(ConferenceTest, volume_is_a_setting_that_reaches_the_engine) {
  EXPECT_EQ(ask("audio.set_volume", {{"db", -6}})["result"]["db"], -6);
  EXPECT_TRUE(eventually([&] { return audio_.gain_db == -6.0F; }));
  EXPECT_TRUE(eventually(
      [&] { return phone_->state().snapshot()->state["audio"]["speaker"]["volume_db"] == -6; }));
  EXPECT_TRUE(ask("audio.set_volume", {{"db", 99}}).contains("error"));
  EXPECT_TRUE(ask("audio.set_volume", {{"db", 1e300}}).contains("error"));
}

TEST_F(ConferenceTest, reports_hold_what_the_outside_expects) {
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  const Json report = ask("phone.report")["result"];
  EXPECT_EQ(report["joined"], true);
  EXPECT_EQ(report["violations"], 0);
  for (const char* key : {"seconds_to_join", "uplink", "downlink", "engine", "erle_db"}) {
    EXPECT_TRUE(report.contains(key)) << key;
  }
  std::string text;
  on_loop([&] { text = phone_->prometheus(); });
  EXPECT_NE(text.find("# TYPE conclave_call_active gauge\nconclave_call_active 1\n"),
            std::string::npos);
}

}  // namespace
}  // namespace conclave::control
