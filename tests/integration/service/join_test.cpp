// SPDX-License-Identifier: Apache-2.0
// Joining when servers are silent, tokens expire or the direct way is closed, with a real mixer and
// a real tunnel server; and how long it takes.
#include <signal.h>

#include <cstdlib>
#include <fstream>

#include "control/calls/media_call.h"
#include "tests/integration/service/http_proxy.h"
#include "tests/integration/service/person.h"
#include "tests/integration/service/test_phone.h"
#include "tests/support/temp_folder.h"

namespace conclave::service {
namespace {

using Json = nlohmann::json;

struct Join : testing::Test {
  test::TempFolder folder;
  std::unique_ptr<Service> service;

  void start(const std::function<void(ServiceConfig&)>& change = {}) {
    ServiceConfig config;
    config.data = folder.path();
    if (change) change(config);
    auto started = Service::start(config);
    ASSERT_TRUE(started.ok()) << started.error().message;
    service = std::move(*started);
  }
  std::string silent_rest(const SilentPort& port) const {
    const std::string real = service->rest_address();
    return "https://127.0.0.1:" + std::to_string(port.port()) +
           real.substr(real.find('/', real.rfind(':')));
  }
  static double seconds(TestPhone& phone, const std::string& passcode) {
    const std::int64_t begun = SystemClock::now();
    EXPECT_TRUE(phone.join(passcode)) << phone.tree("call").dump();
    return static_cast<double>(SystemClock::now() - begun) / 1e9;
  }
};

int free_port() {
  const SilentPort port(SOCK_STREAM);
  return port.port();
}

TEST_F(Join, F108_F121_a_second_sip_server_is_joined_within_3_s_when_the_first_is_silent) {
  const SilentPort silent(SOCK_STREAM);
  start([&](ServiceConfig& config) {
    config.sip_port = free_port();
    config.sip_addresses = {"127.0.0.1:" + std::to_string(silent.port()),
                            "127.0.0.1:" + std::to_string(config.sip_port)};
  });
  TestPhone phone(*service, "Phone");
  const double took = seconds(phone, "246810");
  std::printf("joined by the second SIP server in %.2f s\n", took);
  EXPECT_LE(took, 3.0);
}

TEST_F(Join, F108_F120_rest_and_sip_of_the_first_server_silent_and_still_joined_within_3_s) {
  const SilentPort rest(SOCK_STREAM), sip(SOCK_STREAM);
  start([&](ServiceConfig& config) {
    config.sip_port = free_port();
    config.sip_addresses = {"127.0.0.1:" + std::to_string(sip.port()),
                            "127.0.0.1:" + std::to_string(config.sip_port)};
  });
  TestPhone phone(*service, "Phone",
                  {{"Dvms.Server.Address", silent_rest(rest)},
                   {"Dvms.Server.Alternatives", Json::array({service->rest_address()})}});
  const double took = seconds(phone, "246810");
  std::printf("joined by the second server, REST and SIP, in %.2f s\n", took);
  EXPECT_LE(took, 3.0);
  EXPECT_EQ(phone.tree("call").value("server", ""), service->rest_address());
}

TEST_F(Join, F121_no_sip_server_at_all_is_903) {
  start([&](ServiceConfig& config) {
    config.sip_addresses = {"127.0.0.1:" + std::to_string(free_port()),
                            "127.0.0.1:" + std::to_string(free_port())};
  });
  TestPhone phone(*service, "Phone");
  phone.ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(phone.call_is("failed", 30s)) << phone.tree("call").dump();
  EXPECT_EQ(phone.error(), "SIG-903");
}

TEST_F(Join, F124_a_token_is_renewed_in_the_call_without_anybody_noticing) {
  start([](ServiceConfig& config) { config.token_lifetime_s = 2; });
  TestPhone phone(*service, "Phone");
  ASSERT_TRUE(phone.join("246810"));
  for (int i = 0; i < 8; ++i) {
    std::this_thread::sleep_for(1s);
    const Json answer = phone.ask("meeting.mute_all", {{"muted", i % 2 == 0}});
    EXPECT_TRUE(answer.contains("result")) << i << answer.dump();
    EXPECT_EQ(phone.tree("call").value("state", ""), "active");
    EXPECT_FALSE(phone.tree("call").contains("error")) << phone.tree("call").dump();
  }
}

TEST_F(Join, F121_sound_and_signalling_go_both_ways_through_the_tunnel) {
  start([](ServiceConfig& config) { config.tunnel = true; });
  Person bo(*service, "135790", "bo");
  ASSERT_TRUE(bo.participant);
  bo.say(500);
  TestPhone phone(*service, "Phone", {{"Conference.Tunnel.Mode", "Always"}});
  PhoneSound sound(phone.uplink, phone.downlink);
  sound.say(800);
  const double took = seconds(phone, "246810");
  std::printf("joined through the tunnel in %.2f s\n", took);
  EXPECT_EQ(phone.tree("call").value("route", ""), "tunnel");
  EXPECT_NE(phone.tree("call").value("security", "").find("SRTP"), std::string::npos);
  EXPECT_TRUE(eventually([&] { return sound.hears(500) > -26; }, 5s));
  EXPECT_TRUE(eventually(
      [&] {
        const std::int64_t from = SystemClock::now();
        std::this_thread::sleep_for(200ms);
        return tone_db(bo.heard(from, from + 200 * kMs), 800) > -26;
      },
      5s));
  // Leaving goes through it as well.
  phone.ask("call.leave");
  EXPECT_TRUE(phone.call_is("idle", 5s));
}

TEST_F(Join, F121_the_direct_way_is_taken_where_it_is_open) {
  start([](ServiceConfig& config) { config.tunnel = true; });
  TestPhone phone(*service, "Phone");
  ASSERT_TRUE(phone.join("246810"));
  EXPECT_EQ(phone.tree("call").value("route", ""), "direct");
}

TEST_F(Join, F121_a_closed_direct_way_leads_to_the_tunnel_by_itself) {
  start([](ServiceConfig& config) { config.tunnel = true; });
  // The firewall: the probe's datagrams are lost.
  const SilentPort closed(SOCK_DGRAM);
  apps::RestClient rest(service->rest_address(), service->ca_file());
  ASSERT_TRUE(rest.login({"phone", "", "", ""}).ok());
  const auto place = rest.join({"246810", "", "Phone"});
  ASSERT_TRUE(place.ok() && place->tunnel);
  control::Loop loop("test");
  AudioFrameRing uplink{16}, downlink{16};
  PhoneSound sound(uplink, downlink);
  const auto calls = control::sip_calls(loop, uplink, downlink);
  std::unique_ptr<control::MediaCall> call;
  control::MediaCallConfig config;
  config.target = place->sip.uri;
  config.host = place->sip.host;
  config.port = place->sip.port;
  config.header_name = protocol::kParticipantHeader;
  config.header_value = protocol::participant_header(place->participant.id, rest.token());
  config.ca_file = service->ca_file();
  config.folder = folder.path("sip-test");
  control::TunnelWay way;
  way.host = place->tunnel->host;
  way.port = place->tunnel->port;
  way.probe_port = closed.port();
  way.username = place->tunnel->username;
  way.password = place->tunnel->password;
  way.ca_file = service->ca_file();
  config.tunnel = way;
  std::promise<control::Route> route;
  std::promise<bool> answered;
  loop.run([&] {
    call = calls();
    control::MediaCall::Events events;
    events.route = [&](control::Route r) { route.set_value(r); };
    events.answered = [&](const control::MediaCallInfo&) { answered.set_value(true); };
    events.ended = [&](const Error& error, bool) {
      ADD_FAILURE() << error.id << " " << error.message;
      answered.set_value(false);
    };
    EXPECT_TRUE(call->start(config, std::move(events)).ok());
  });
  const std::int64_t begun = SystemClock::now();
  auto done = answered.get_future();
  ASSERT_EQ(done.wait_for(10s), std::future_status::ready);
  EXPECT_TRUE(done.get());
  EXPECT_EQ(route.get_future().get(), control::Route::kTunnel);
  std::printf("found the direct way closed, and through the tunnel, in %.2f s\n",
              static_cast<double>(SystemClock::now() - begun) / 1e9);
  loop.run([&] { call.reset(); });
}

TEST_F(Join, F121_902_when_the_tunnel_server_is_silent_and_joined_when_it_is_back) {
  start([](ServiceConfig& config) { config.tunnel = true; });
  TestPhone phone(*service, "Phone", {{"Conference.Tunnel.Mode", "Always"}});
  const int pid = service->tunnel_pid();
  ASSERT_GT(pid, 1);
  ASSERT_EQ(kill(pid, SIGSTOP), 0);
  phone.ask("call.join", {{"passcode", "246810"}});
  EXPECT_TRUE(phone.call_is("failed", 20s));
  EXPECT_EQ(phone.error(), "SIG-902");
  EXPECT_EQ(phone.tree("call").value(Json::json_pointer("/error/code"), 0), 902);
  ASSERT_EQ(kill(pid, SIGCONT), 0);
  ASSERT_TRUE(phone.join("246810")) << phone.tree("call").dump();
  // It dies in the call: the phone comes back by itself, through the new one.
  ASSERT_EQ(kill(service->tunnel_pid(), SIGKILL), 0);
  EXPECT_TRUE(eventually([&] { return phone.tree("call").value("state", "") != "active"; }, 10s));
  EXPECT_TRUE(phone.call_is("active", 20s)) << phone.tree("call").dump();
  EXPECT_NE(service->tunnel_pid(), pid);
}

TEST_F(Join, F62_F121_the_tunnel_goes_through_a_proxy_with_a_password) {
  start([](ServiceConfig& config) { config.tunnel = true; });
  HttpProxy proxy("dXNlcjpzZXNhbWU=");  // user:sesame
  const auto by_proxy = [&](const std::string& password) {
    return control::Registry::Request{{"Conference.Tunnel.Mode", "Always"},
                                      {"Dvms.Proxy.Address", "127.0.0.1"},
                                      {"Dvms.Proxy.Port", proxy.port()},
                                      {"Dvms.Proxy.User", "user"},
                                      {"Dvms.Proxy.Password", password}};
  };
  {
    TestPhone phone(*service, "Phone", by_proxy("sesame"));
    ASSERT_TRUE(phone.join("246810")) << phone.tree("call").dump();
    EXPECT_EQ(phone.tree("call").value("route", ""), "tunnel");
    EXPECT_GE(proxy.connects_to(service->tunnel_port()), 3) << "sound, signalling and its control";
    EXPECT_EQ(proxy.connects_to(service->sip_port()), 0);
  }
  TestPhone phone(*service, "Other", by_proxy("wrong"));
  phone.ask("call.join", {{"passcode", "246810"}});
  EXPECT_TRUE(phone.call_is("failed", 20s));
  EXPECT_EQ(phone.error(), "PROXY-962");
}

/// From the wish to sound heard both ways. CONCLAVE_JOINS says how many (default 12).
TEST_F(Join, F119_F121_from_the_wish_to_sound_both_ways) {
  start([](ServiceConfig& config) { config.tunnel = true; });
  const char* wanted = std::getenv("CONCLAVE_JOINS");
  const int count = wanted != nullptr ? std::atoi(wanted) : 12;
  Person bo(*service, "135790", "bo");
  ASSERT_TRUE(bo.participant);
  bo.say(500);
  TestPhone phone(*service, "Phone");
  PhoneSound sound(phone.uplink, phone.downlink);
  sound.say(800);
  std::vector<double> both, signalled;
  for (int i = 0; i < count; ++i) {
    sound.forget();
    const std::int64_t begun = SystemClock::now();
    ASSERT_TRUE(phone.join("246810")) << phone.tree("call").dump();
    std::int64_t here = 0, there = 0;
    ASSERT_TRUE(eventually(
        [&] {
          if (here == 0) here = sound.first_heard(500, begun);
          if (there == 0) there = bo.first_heard(800, begun);
          return here != 0 && there != 0;
        },
        5s))
        << here << " " << there;
    both.push_back(static_cast<double>(std::max(here, there) - begun) / 1e6);
    signalled.push_back(phone.phone->conference().seconds_to_join() * 1000);
    phone.ask("call.leave");
    ASSERT_TRUE(phone.call_is("idle"));
    // His tone is to be out of what Bo hears before the next one.
    std::this_thread::sleep_for(150ms);
  }
  std::sort(both.begin(), both.end());
  std::sort(signalled.begin(), signalled.end());
  const auto quantile = [](const std::vector<double>& v, std::size_t percent) {
    return v[std::min(v.size() - 1, v.size() * percent / 100)];
  };
  std::printf(
      "%d joins: sound both ways after p50 %.0f, p95 %.0f, at most %.0f ms; "
      "call established after p50 %.0f, p95 %.0f ms\n",
      count, quantile(both, 50), quantile(both, 95), both.back(), quantile(signalled, 50),
      quantile(signalled, 95));
  EXPECT_LE(quantile(both, 95), 500.0);
}

}  // namespace
}  // namespace conclave::service
