// SPDX-License-Identifier: Apache-2.0
// Accounts, dispatcher, request guard, meter frames, files, certificate, loop.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <limits>
#include <thread>

#include "control/access/accounts.h"
#include "control/access/password.h"
#include "control/loop/loop.h"
#include "control/phone/audio_control.h"
#include "control/phone/meter_frame.h"
#include "control/phone/wav.h"
#include "control/rpc/dispatcher.h"
#include "control/web/certificate.h"
#include "control/web/http.h"
#include "control/web/static_files.h"
#include "tests/control/fakes.h"
#include "tests/support/temp_folder.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;
using std::chrono::seconds;

TEST(Accounts, F45_F100_factory_login_works_until_it_is_changed) {
  Registry registry;
  const Accounts accounts(registry);
  EXPECT_TRUE(accounts.check("admin", "1739"));
  EXPECT_TRUE(accounts.must_change_password());
  EXPECT_FALSE(accounts.check("admin", "1738"));
  EXPECT_FALSE(accounts.check("Admin", "1739"));
  EXPECT_FALSE(accounts.check("admin", ""));
  ASSERT_TRUE(registry.apply(Layer::kLocal, {{"Access.Admin.Password", "long enough"}}).ok());
  EXPECT_FALSE(accounts.must_change_password());
  EXPECT_FALSE(accounts.check("admin", "1739"));
  EXPECT_TRUE(accounts.check("admin", "long enough"));
  // The stored hash itself is no password.
  EXPECT_FALSE(accounts.check("admin", registry.get_text(Key::kAccessAdminPassword)));
}

TEST(AudioControl, settings_of_sound_reach_the_engine_at_once) {
  Registry settings;
  StateTree state;
  test::FakeAudio port;
  AudioControl audio(settings, state, &port, {});
  const engine::EngineParams standard;
  EXPECT_EQ(port.params_.learned_echo_mask, standard.learned_echo_mask);
  EXPECT_EQ(port.params_.learned_noise_mask, standard.learned_noise_mask);
  EXPECT_EQ(port.params_.low_cut_hz, standard.low_cut_hz);
  EXPECT_EQ(port.params_.dereverberation_percent, standard.dereverberation_percent);
  EXPECT_EQ(port.params_.noise_reduction_db, standard.noise_reduction_db);
  const bool learned = standard.learned_echo_mask;
  ASSERT_TRUE(settings
                  .apply(Layer::kLocal, {{"Audio.ResidualEcho.Learned", !learned},
                                         {"Audio.NoiseSuppression.Learned", false},
                                         {"Audio.NoiseSuppression.MaxReduction", 12},
                                         {"Audio.NoiseSuppression.Dereverberation", 60},
                                         {"Audio.LowCut", 120}})
                  .ok());
  audio.changed(std::array{Key::kAudioLowCut});
  EXPECT_EQ(port.params_.learned_echo_mask, !learned);
  EXPECT_FALSE(port.params_.learned_noise_mask);
  EXPECT_EQ(port.params_.noise_reduction_db, 12);
  EXPECT_EQ(port.params_.dereverberation_percent, 60);
  EXPECT_EQ(port.params_.low_cut_hz, 120);
}

TEST(Lockout, waits_grow_after_five_wrong_passwords_and_per_address) {
  Lockout lockout;
  const auto start = Lockout::Clock::now();
  for (int i = 0; i < 4; ++i) lockout.failed("10.0.0.1", start);
  EXPECT_EQ(lockout.wait_seconds("10.0.0.1", start), 0);
  lockout.failed("10.0.0.1", start);
  EXPECT_EQ(lockout.wait_seconds("10.0.0.1", start), 5);
  EXPECT_EQ(lockout.wait_seconds("10.0.0.2", start), 0);
  lockout.failed("10.0.0.1", start + seconds(5));
  EXPECT_EQ(lockout.wait_seconds("10.0.0.1", start + seconds(5)), 10);
  for (int i = 0; i < 30; ++i) lockout.failed("10.0.0.1", start);
  EXPECT_EQ(lockout.wait_seconds("10.0.0.1", start), 900);
  lockout.succeeded("10.0.0.1");
  EXPECT_EQ(lockout.wait_seconds("10.0.0.1", start), 0);
}

TEST(Sessions, end_when_idle_and_when_closed) {
  Sessions sessions;
  sessions.set_idle_timeout(seconds(60));
  const auto start = Sessions::Clock::now();
  const std::string token = sessions.open("admin", "10.0.0.1", start);
  EXPECT_EQ(token.size(), 43U);
  EXPECT_TRUE(sessions.find(token, true, start + seconds(59)));
  EXPECT_TRUE(sessions.find(token, false, start + seconds(118)));
  EXPECT_FALSE(sessions.find(token, false, start + seconds(120)));
  const std::string a = sessions.open("admin", "x", start);
  const std::string b = sessions.open("admin", "x", start);
  EXPECT_NE(a, b);
  sessions.close_others(b);
  EXPECT_FALSE(sessions.find(a, true, start));
  EXPECT_TRUE(sessions.find(b, true, start));
  EXPECT_FALSE(sessions.find("", true, start));
  for (std::size_t i = 0; i < 3 * Sessions::kMaxSessions; ++i) sessions.open("admin", "x", start);
  EXPECT_LE(sessions.count(start), Sessions::kMaxSessions);
}

TEST(Dispatcher, follows_json_rpc_for_good_and_bad_texts) {
  Dispatcher d;
  d.add("echo", {{"t", RpcParam::Type::kNumber, true}, {"s", RpcParam::Type::kString, false}}, "",
        [](const Json& params, const RpcCaller&) -> RpcResult { return params; });
  const auto code = [&d](std::string_view text) {
    const Json answer = d.handle(text, {});
    return answer.contains("error") ? answer["error"]["code"].get<int>() : 0;
  };
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"echo","params":{"t":1}})"), 0);
  EXPECT_EQ(code("{"), kRpcParseError);
  EXPECT_EQ(code("\xff\xff"), kRpcParseError);
  EXPECT_EQ(code(std::string(100000, '[')), kRpcParseError);
  EXPECT_EQ(code("[]"), kRpcInvalidRequest);
  EXPECT_EQ(code(R"({"id":1,"method":"echo"})"), kRpcInvalidRequest);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":{},"method":"echo"})"), kRpcInvalidRequest);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"none"})"), kRpcUnknownMethod);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"echo"})"), kRpcInvalidParams);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"echo","params":[1]})"), kRpcInvalidParams);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"echo","params":{"t":"1"}})"),
            kRpcInvalidParams);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"echo","params":{"t":1,"x":2}})"),
            kRpcInvalidParams);
  EXPECT_TRUE(
      d.handle(std::string_view(R"({"jsonrpc":"2.0","method":"echo","params":{"t":1}})"), {})
          .is_null());
}

TEST(Guard, knows_its_own_hosts_and_origins) {
  const web::Guard guard({"phone.example.com"}, 8443);
  for (const char* host : {"127.0.0.1:8443", "localhost:8443", "[::1]:8443", "192.0.2.7:8443",
                           "phone.example.com:8443", "PHONE.example.com", "192.0.2.7"}) {
    EXPECT_TRUE(guard.host_ok(host)) << host;
  }
  for (const char* host : {"", "evil.example.com:8443", "localhost:8444", "localhost:", "[::1",
                           "[::1]x", "localhost:8443,localhost:8443", "localhost:99999999999",
                           "127.0.0.1.evil.example:8443", "[localhost]:8443"}) {
    EXPECT_FALSE(guard.host_ok(host)) << host;
  }
  EXPECT_TRUE(web::Guard::origin_ok("https://localhost:8443", "localhost:8443"));
  EXPECT_FALSE(web::Guard::origin_ok("http://localhost:8443", "localhost:8443"));
  EXPECT_FALSE(web::Guard::origin_ok("https://localhost:8443.evil.com", "localhost:8443"));
  EXPECT_FALSE(web::Guard::origin_ok("null", "localhost:8443"));
  EXPECT_FALSE(web::Guard::origin_ok("", "localhost:8443"));
}

TEST(Guard, refuses_broken_and_foreign_requests) {
  const web::Guard guard({}, 8443);
  web::Request request;
  request.method = web::Method::kPost;
  request.host = "localhost:8443";
  request.content_length = "10";
  EXPECT_EQ(guard.check(request, 100), 0);
  const auto with = [&](auto&& change) {
    web::Request changed = request;
    change(changed);
    return guard.check(changed, 100);
  };
  EXPECT_EQ(with([](auto& r) { r.transfer_encoding = "chunked"; }), 400);
  EXPECT_EQ(with([](auto& r) { r.content_length = "10,10"; }), 400);
  EXPECT_EQ(with([](auto& r) { r.content_length = "-1"; }), 400);
  EXPECT_EQ(with([](auto& r) { r.content_length = "101"; }), 413);
  EXPECT_EQ(with([](auto& r) { r.content_length = ""; }), 411);
  EXPECT_EQ(with([](auto& r) { r.host = "evil.com:8443"; }), 421);
  EXPECT_EQ(with([](auto& r) { r.origin = "https://evil.com"; }), 403);
  EXPECT_EQ(with([](auto& r) { r.fetch_site = "cross-site"; }), 403);
  EXPECT_EQ(with([](auto& r) { r.method = web::Method::kOther; }), 405);
  EXPECT_EQ(with([](auto& r) { r.method = web::Method::kGet; }), 400);
}

TEST(Cookies, are_found_by_their_exact_name_and_only_once) {
  EXPECT_EQ(web::cookie_value("a=1; __Host-session=abc; b=2", "__Host-session"), "abc");
  EXPECT_EQ(web::cookie_value("x__Host-session=abc", "__Host-session"), "");
  EXPECT_EQ(web::cookie_value("__Host-session=a; __Host-session=b", "__Host-session"), "");
  EXPECT_EQ(web::cookie_value("", "__Host-session"), "");
  EXPECT_EQ(web::query_value("a=1&seconds=5", "seconds"), "5");
}

std::int16_t i16_at(const std::string& frame, std::size_t at) {
  std::int16_t v = 0;
  std::memcpy(&v, frame.data() + at, 2);
  return v;
}

TEST(MeterFrame, has_the_layout_of_the_protocol) {
  engine::EngineMetrics m;
  m.mic_count = 10;
  m.mic_rms_db.fill(-40.25F);
  m.mic_peak_db.fill(-30.5F);
  m.mic_clips[3] = 7;
  m.speaker_rms_db = -20;
  m.sent_peak_db = -3.01F;
  m.erle_db = 45.5F;
  m.residual_echo_db = -80;
  m.azimuth_deg = 359.9F;
  m.elevation_deg = -5;
  m.activity = 0.5F;
  m.cpu.last_us = 812;
  m.near_active = m.muted = true;
  const std::string frame = encode_meter_frame(m, 0x01020304, true);
  ASSERT_EQ(frame.size(), 70U);
  EXPECT_EQ(frame.substr(0, 8), std::string("\x01\x01\x0a\x0d\x04\x03\x02\x01", 8));
  EXPECT_EQ(i16_at(frame, 8), -4025);
  EXPECT_EQ(i16_at(frame, 10), -3050);
  EXPECT_EQ(i16_at(frame, 48), -2000);
  EXPECT_EQ(i16_at(frame, 54), -301);
  EXPECT_EQ(i16_at(frame, 56), 4550);
  EXPECT_EQ(i16_at(frame, 58), -8000);
  EXPECT_EQ(i16_at(frame, 60), 3599);
  EXPECT_EQ(i16_at(frame, 62), -50);
  EXPECT_EQ(i16_at(frame, 64), 500);
  EXPECT_EQ(i16_at(frame, 66), 812);
  EXPECT_EQ(i16_at(frame, 68), 7);
}

TEST(MeterFrame, survives_nonsense) {
  engine::EngineMetrics m;
  m.mic_count = 1000;
  m.mic_rms_db.fill(std::numeric_limits<float>::quiet_NaN());
  m.speaker_rms_db = std::numeric_limits<float>::infinity();
  m.azimuth_deg = -5;
  const std::string frame = encode_meter_frame(m, 0, false);
  EXPECT_EQ(frame.size(), 30U + 4 * engine::kMaxMics);
  EXPECT_EQ(i16_at(frame, 8), -32768);
}

TEST(Wav, is_a_wav_file_that_clips) {
  const float samples[] = {0.0F, 2.0F, -2.0F, std::numeric_limits<float>::quiet_NaN()};
  const std::string file = wav_file(samples, 48000);
  ASSERT_EQ(file.size(), 52U);
  EXPECT_EQ(file.substr(0, 4) + file.substr(8, 4), "RIFFWAVE");
  EXPECT_EQ(i16_at(file, 46), 32767);
  EXPECT_EQ(i16_at(file, 48), -32767);
  EXPECT_EQ(i16_at(file, 50), 0);
}

TEST(StaticFiles, serve_compressed_forms_and_cache_rules) {
  conclave::test::TempFolder folder;
  std::filesystem::create_directories(folder.path() + "/assets");
  const auto put = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder.path() + name) << text;
  };
  put("/index.html", "<html>");
  put("/assets/app.js", "plain");
  put("/assets/app.js.gz", "zipped");
  put("/assets/app.js.br", "brotli");
  const auto files = web::StaticFiles::load(folder.path());
  web::Request request;
  request.method = web::Method::kGet;
  request.path = "/assets/app.js";
  const auto header = [](const web::Response& r, const std::string& name) {
    for (const auto& [n, v] : r.headers) {
      if (n == name) return v;
    }
    return std::string();
  };
  EXPECT_EQ(*files.serve(request).body, "plain");
  request.accept_encoding = "gzip";
  EXPECT_EQ(*files.serve(request).body, "zipped");
  request.accept_encoding = "gzip, deflate, br";
  const auto best = files.serve(request);
  EXPECT_EQ(*best.body, "brotli");
  EXPECT_EQ(header(best, "content-encoding"), "br");
  EXPECT_NE(header(best, "cache-control").find("immutable"), std::string::npos);
  request.if_none_match = header(best, "etag");
  EXPECT_EQ(files.serve(request).status, 304);
  request.if_none_match.clear();
  for (const char* page : {"/", "/panel", "/settings"}) {
    request.path = page;
    EXPECT_EQ(*files.serve(request).body, "<html>") << page;
    EXPECT_EQ(header(files.serve(request), "cache-control"), "no-cache");
  }
  for (const char* none : {"/assets/app.js.gz", "/../etc/passwd", "/nothing.js", "/api/v1/x"}) {
    request.path = none;
    EXPECT_EQ(files.serve(request).status, 404) << none;
  }
}

TEST(Certificate, F44_is_made_once_with_a_key_that_nobody_else_can_read) {
  conclave::test::TempFolder folder;
  const auto files = web::ensure_certificate(folder.path(), {"phone.example.com", "192.0.2.7"});
  ASSERT_TRUE(files.ok()) << files.error().message;
  struct stat info {};
  ASSERT_EQ(::stat(files->key.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  const auto first = web::certificate_fingerprint(files->certificate);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->size(), 95U);
  ASSERT_TRUE(web::ensure_certificate(folder.path(), {}).ok());
  EXPECT_EQ(*web::certificate_fingerprint(files->certificate), *first);
  // A damaged one is replaced rather than keeping the web interface down.
  std::ofstream(files->key, std::ios::trunc) << "x";
  ASSERT_TRUE(web::ensure_certificate(folder.path(), {}).ok());
  EXPECT_NE(*web::certificate_fingerprint(files->certificate), *first);
}

TEST(Loop, runs_tasks_in_order_and_timers_when_due) {
  Loop loop("test");
  std::vector<int> order;
  loop.after(std::chrono::milliseconds(30), [&] { order.push_back(3); });
  const TimerId never = loop.after(std::chrono::milliseconds(20), [&] { order.push_back(9); });
  loop.post([&] { order.push_back(1); });
  loop.post([&] { order.push_back(2); });
  loop.cancel(never);
  int ticks = 0;
  TimerId steady = 0;
  loop.run([&] {
    steady = loop.every(std::chrono::milliseconds(5), [&] {
      if (++ticks == 4) loop.cancel(steady);
    });
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  loop.stop();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(ticks, 4);
}

TEST(Password, hashes_differ_and_verify) {
  const auto a = hash_password("x");
  const auto b = hash_password("x");
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_NE(*a, *b);
  EXPECT_TRUE(verify_password(*a, "x"));
  EXPECT_FALSE(verify_password(*a, "y"));
  EXPECT_FALSE(verify_password("$argon2id$broken", "x"));
  EXPECT_TRUE(equal_constant_time("", ""));
  EXPECT_FALSE(equal_constant_time("a", "ab"));
}

}  // namespace
}  // namespace conclave::control
