// SPDX-License-Identifier: Apache-2.0
// Which server and which way a join takes, and what can be asked in the meeting.
#include <chrono>

#include "tests/control/phone_on_fakes.h"

namespace conclave::control {
namespace {

using test::eventually;
using test::failure;
using Json = nlohmann::json;
namespace protocol = service::protocol;

class JoinWays : public test::PhoneOnFakes {
 protected:
  static protocol::JoinResponse place(int alternatives, bool tunnel) {
    protocol::JoinResponse out;
    out.conference = {"c1", "Project room"};
    out.participant = {"p1", protocol::Role::kChairperson};
    out.sip = {"sip:c1@sip0:5061", "sip0", 5061, "tls"};
    for (int i = 1; i <= alternatives; ++i) {
      const std::string host = "sip" + std::to_string(i);
      out.alternatives.push_back({"sip:c1@" + host + ":5061", host, 5061, "tls"});
    }
    if (tunnel) out.tunnel = protocol::JoinResponse::Tunnel{"turn", 443, 3478, "u", "p"};
    return out;
  }
  double join_seconds() {
    const auto begun = std::chrono::steady_clock::now();
    ask("call.join", {{"passcode", "246810"}});
    EXPECT_TRUE(call_is("active", 8000)) << call().dump();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  }
};

TEST_F(JoinWays, F108_F120_a_silent_service_is_given_up_for_the_next_one) {
  on_loop([&] {
    service_->server_count = 2;
    service_->silent_servers = 1;
  });
  EXPECT_LE(join_seconds(), 3.0);
  on_loop([&] {
    EXPECT_EQ(service_->selected, 1U);
    EXPECT_EQ(service_->count("login"), 2);
  });
  EXPECT_FALSE(call().contains("error"));
}

TEST_F(JoinWays, F108_F121_a_silent_sip_server_is_given_up_for_the_next_one) {
  on_loop([&] {
    service_->join_answer = place(2, false);
    calls_.silent_hosts = 1;
  });
  EXPECT_LE(join_seconds(), 3.0);
  on_loop([&] {
    ASSERT_EQ(calls_.configs.size(), 2U);
    EXPECT_EQ(calls_.configs[0].host, "sip0");
    EXPECT_EQ(calls_.configs[1].host, "sip1");
    EXPECT_EQ(calls_.alive, 1);
    EXPECT_EQ(service_->count("login"), 1) << "the service itself was well";
  });
}

TEST_F(JoinWays, F121_sip_servers_that_refuse_are_tried_in_order_then_the_tunnel_then_903) {
  on_loop([&] {
    service_->join_answer = place(1, true);
    calls_.refuse = catalogue_error("SIG-903");
  });
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("failed")) << call().dump();
  EXPECT_EQ(call()["error"]["id"], "SIG-903");
  on_loop([&] {
    ASSERT_EQ(calls_.configs.size(), 4U);
    EXPECT_EQ(calls_.configs[1].host, "sip1");
    EXPECT_EQ(calls_.configs[1].tunnel_mode, TunnelMode::kAutomatic);
    EXPECT_EQ(calls_.configs[2].host, "sip0");
    EXPECT_EQ(calls_.configs[2].tunnel_mode, TunnelMode::kAlways);
    ASSERT_TRUE(calls_.configs[2].tunnel.has_value());
    EXPECT_EQ(calls_.configs[2].tunnel->host, "turn");
    EXPECT_EQ(calls_.alive, 0);
  });
}

TEST_F(JoinWays, F121_without_sound_on_the_direct_way_the_tunnel_is_taken) {
  on_loop([&] {
    service_->join_answer = place(0, true);
    calls_.sound = false;
  });
  join_seconds();
  EXPECT_EQ(call()["route"], "direct");
  EXPECT_TRUE(eventually(
      [&] {
        const Json now = call();
        return now["state"] == "active" && now.value("route", "") == "tunnel";
      },
      6000))
      << call().dump();
  on_loop([&] { EXPECT_EQ(service_->count("join 246810"), 1) << "still the same participant"; });
}

TEST_F(JoinWays, F121_a_setting_decides_about_the_tunnel) {
  on_loop([&] {
    service_->join_answer = place(0, true);
    calls_.refuse = catalogue_error("SIG-903");
  });
  EXPECT_TRUE(settings_.apply(Layer::kLocal, {{"Conference.Tunnel.Mode", "Never"}}).ok());
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("failed"));
  on_loop([&] {
    ASSERT_EQ(calls_.configs.size(), 1U);
    EXPECT_EQ(calls_.configs[0].tunnel_mode, TunnelMode::kNever);
  });
}

TEST_F(JoinWays, F124_the_token_is_renewed_before_it_expires) {
  on_loop([&] { service_->expires_in_s = 1; });
  join_seconds();
  EXPECT_TRUE(eventually(
      [&] {
        bool asked = false;
        on_loop([&] { asked = service_->count("renew token-1") > 0; });
        return asked;
      },
      2000));
  // The new one is what the service sees from then on.
  ask("call.leave");
  ASSERT_TRUE(call_is("idle"));
  on_loop([&] { EXPECT_EQ(service_->count("renew token-2"), 0); });
}

TEST_F(JoinWays, F111_to_F117_wishes_are_answered_by_the_service) {
  EXPECT_EQ(ask("meeting.mute_all", {{"muted", true}})["error"]["data"]["id"], "CC-404");
  join_seconds();
  EXPECT_EQ(ask("meeting.dial_out", {{"to", "+4930123"}})["result"]["participant"], "p9");
  EXPECT_EQ(ask("meeting.record", {{"recording", true}})["result"]["done"], true);
  EXPECT_EQ(ask("meeting.operator")["result"]["done"], true);
  EXPECT_EQ(ask("meeting.eject", {{"participant", "p2"}})["result"]["done"], true);
  EXPECT_EQ(ask("meeting.eject", {{"participant", "../p2"}})["error"]["code"], -32602);
  EXPECT_EQ(ask("meeting.dial_out", {{"to", "sip:a b@c"}})["error"]["code"], -32602);
  for (const char* id : {"CC-RECORD", "CC-DIALOUT-CCS", "CC-OPERATOR-DENIED"}) {
    on_loop([&] { service_->command_fails = failure(id, true); });
    EXPECT_EQ(ask("meeting.record", {{"recording", false}})["error"]["data"]["id"], id);
    EXPECT_EQ(call()["error"]["id"], id);
    EXPECT_EQ(call()["state"], "active");
  }
  on_loop([&] { service_->command_fails.reset(); });
  ask("meeting.mute_all", {{"muted", false}});
  EXPECT_FALSE(call().contains("error")) << "what went well since is not shown as failed";
}

TEST_F(JoinWays, a_wish_that_the_end_of_the_call_overtakes_is_answered_all_the_same) {
  join_seconds();
  on_loop([&] { service_->silent = true; });
  std::promise<std::string> answer;
  phone_->handle(
      R"({"jsonrpc":"2.0","id":1,"method":"meeting.record","params":{"recording":true}})",
      {"admin", "", "test"}, [&](std::string text) { answer.set_value(text); });
  on_loop([&] { service_->silent = false; });
  ask("call.leave");
  EXPECT_EQ(Json::parse(answer.get_future().get())["error"]["data"]["id"], "CC-404");
}

}  // namespace
}  // namespace conclave::control
