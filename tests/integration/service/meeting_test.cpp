// SPDX-License-Identifier: Apache-2.0
// What is done within a conference, with a real mixer and real SIP peers: each wish with its
// permission, its failure and its feedback to everybody.
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>

#include "service/lab_ca.h"
#include "tests/integration/service/callee.h"
#include "tests/integration/service/person.h"
#include "tests/integration/service/test_phone.h"
#include "tests/support/temp_folder.h"

namespace conclave::service {
namespace {

using Json = nlohmann::json;

std::string error_id(const Json& answer) {
  return answer.value("/error/data/id"_json_pointer, std::string("no error: " + answer.dump()));
}

struct Meeting : testing::Test {
  test::TempFolder folder;
  std::unique_ptr<Service> service;
  std::optional<LabCertificates> files;

  void start(const std::function<void(ServiceConfig&)>& change = {},
             const std::string& flags = "") {
    ServiceConfig config;
    config.data = folder.path();
    config.dial_out.addresses = true;
    config.dial_out.answer_within_s = 5;
    {
      std::ofstream out(folder.path("c.json"));
      out << R"({"conferences":[{"id":"project-room","title":"Project room",
        "chairperson_passcode":"246810","participant_passcode":"135790")"
          << flags << "}]}";
    }
    config.directory_file = folder.path("c.json");
    if (change) change(config);
    auto started = Service::start(config);
    ASSERT_TRUE(started.ok()) << started.error().message;
    service = std::move(*started);
    auto made = ensure_lab_certificates(folder.path(), {"localhost", "127.0.0.1"});
    ASSERT_TRUE(made.ok());
    files = *made;
  }
  std::unique_ptr<Callee> callee(media::SipTransport transport,
                                 Callee::Manner manner = Callee::Manner::kAnswers) {
    return std::make_unique<Callee>(transport, folder.path("callee"), files->ca_file,
                                    files->certificate_file, files->key_file, manner);
  }
  std::vector<std::filesystem::path> recordings() {
    std::vector<std::filesystem::path> out;
    std::error_code none;
    for (const auto& e : std::filesystem::directory_iterator(folder.path("recordings"), none)) {
      if (e.path().extension() == ".wav") out.push_back(e.path());
    }
    std::sort(out.begin(), out.end());
    return out;
  }
};

/// Samples of a 16-bit WAV whose header must tell its real length; empty otherwise.
std::vector<float> read_wav(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  const auto number = [&](std::size_t at) {
    std::uint32_t v = 0;
    for (int i = 3; i >= 0; --i) v = v << 8 | static_cast<std::uint8_t>(bytes[at + std::size_t(i)]);
    return v;
  };
  if (bytes.size() < 44 || number(4) != bytes.size() - 8 || number(40) != bytes.size() - 44) {
    return {};
  }
  std::vector<float> out;
  for (std::size_t i = 44; i + 1 < bytes.size(); i += 2) {
    out.push_back(
        static_cast<float>(static_cast<std::int16_t>(
            static_cast<std::uint8_t>(bytes[i]) | static_cast<std::uint8_t>(bytes[i + 1]) << 8)) /
        32768.0F);
  }
  return out;
}

TEST_F(Meeting, F110_F114_F115_F116_F117_everybody_sees_each_change_within_200_ms) {
  start();
  TestPhone chair(*service, "Chair"), first(*service, "First"), second(*service, "Second");
  ASSERT_TRUE(chair.join("246810") && first.join("135790") && second.join("135790"));
  ASSERT_TRUE(eventually([&] { return chair.tree("roster").size() == 3; }, 3s));
  const std::string id = chair.entry("First").first;
  EXPECT_EQ(chair.entry("First").second.value("role", ""), "participant");
  EXPECT_EQ(chair.entry("Chair").second.value("role", ""), "chairperson");

  std::vector<double> delays;
  const auto change = [&](TestPhone& who, const std::string& method, const Json& params,
                          const std::function<bool(TestPhone&)>& seen) {
    const std::int64_t asked = SystemClock::now();
    auto answer = std::async(std::launch::async, [&] { return who.ask(method, params); });
    for (TestPhone* phone : {&chair, &first, &second}) {
      while (!seen(*phone) && SystemClock::now() - asked < 3000 * kMs) {
        std::this_thread::sleep_for(500us);
      }
      EXPECT_TRUE(seen(*phone)) << method << phone->tree("roster").dump();
    }
    delays.push_back(static_cast<double>(SystemClock::now() - asked) / 1e6);
    const Json told = answer.get();
    EXPECT_TRUE(told.contains("result")) << told.dump();
  };
  for (int i = 0; i < 48; ++i) {
    // Who is muted by somebody else stays so until he opens the line himself.
    const bool on = i % 2 == 0;
    const auto seen = [&](TestPhone& p) {
      return p.entry("First").second.value("muted", !on) == on;
    };
    if (on) {
      change(chair, "meeting.mute", {{"participant", id}, {"muted", true}}, seen);
    } else {
      change(first, "call.mute", {{"muted", false}}, seen);
    }
  }
  for (int i = 0; i < 6; ++i) {
    const bool on = i % 2 == 0;
    change(chair, "meeting.mute_all", {{"muted", on}},
           [&](TestPhone& p) { return p.tree("meeting").value("muted_all", false) == on; });
    change(chair, "meeting.record", {{"recording", on}},
           [&](TestPhone& p) { return p.tree("meeting").value("recording", false) == on; });
    change(chair, "meeting.operator", {{"asked", on}}, [&](TestPhone& p) {
      return p.entry("Chair").second.value("operator_asked", false) == on;
    });
  }
  std::sort(delays.begin(), delays.end());
  const double p95 = delays[delays.size() * 95 / 100];
  std::printf("%zu changes: seen by everybody after p50 %.1f, p95 %.1f, at most %.1f ms\n",
              delays.size(), delays[delays.size() / 2], p95, delays.back());
  EXPECT_GE(delays.size(), 50u);
  EXPECT_LE(p95, 200.0);
}

TEST_F(Meeting, F111_F112_F113_F115_F116_F117_participants_have_no_such_rights) {
  start();
  TestPhone chair(*service, "Chair"), other(*service, "Other");
  ASSERT_TRUE(chair.join("246810") && other.join("135790"));
  ASSERT_TRUE(eventually([&] { return other.tree("roster").size() == 2; }, 3s));
  const std::string id = other.entry("Chair").first;
  EXPECT_EQ(error_id(other.ask("meeting.mute", {{"participant", id}, {"muted", true}})),
            "CC-MUTE-OTHER");
  EXPECT_EQ(error_id(other.ask("meeting.mute_all", {{"muted", true}})), "CC-MUTE-ALL");
  EXPECT_EQ(error_id(other.ask("meeting.eject", {{"participant", id}})), "CC-EJECT");
  EXPECT_EQ(error_id(other.ask("meeting.dial_out", {{"to", "+4930123456"}})), "CC-DIALOUT-DENIED");
  EXPECT_EQ(error_id(other.ask("meeting.operator", {{"participant", id}})), "CC-OPERATOR-DENIED");
  EXPECT_EQ(error_id(other.ask("meeting.record", {{"recording", true}})), "CC-RECORD");
  // Shown as well, with all that the catalogue says, and the call goes on.
  EXPECT_EQ(other.tree("call").value("/error/id"_json_pointer, ""), "CC-RECORD");
  EXPECT_EQ(other.tree("call").value("state", ""), "active");
  EXPECT_EQ(error_id(chair.ask("meeting.eject", {{"participant", "p0"}})), "CC-404");
  // Numbers need a gateway.
  EXPECT_EQ(error_id(chair.ask("meeting.dial_out", {{"to", "+4930123456"}})), "CC-DIALOUT-DENIED");
  EXPECT_EQ(chair.ask("meeting.dial_out", {{"to", "anna; rm"}})["error"]["code"], -32602);
  // And the chairperson's word counts.
  EXPECT_TRUE(
      chair.ask("meeting.eject", {{"participant", chair.entry("Other").first}}).contains("result"));
  EXPECT_TRUE(eventually([&] { return other.tree("call").value("state", "") == "idle"; }, 8s));
  EXPECT_TRUE(eventually([&] { return chair.tree("roster").size() == 1; }, 3s));
  chair.ask("call.leave");
  EXPECT_TRUE(eventually([&] { return chair.tree("call").value("state", "") == "idle"; }, 8s));
  EXPECT_EQ(error_id(chair.ask("meeting.record", {{"recording", true}})), "CC-404");
}

TEST_F(Meeting, F111_F113_F117_what_a_conference_does_not_allow_is_refused) {
  start({}, R"(,"dial_out":false,"operator":false,"recording":false)");
  TestPhone chair(*service, "Chair");
  ASSERT_TRUE(chair.join("246810"));
  EXPECT_EQ(error_id(chair.ask("meeting.dial_out", {{"to", "sip:a@127.0.0.1"}})),
            "CC-DIALOUT-DENIED");
  EXPECT_EQ(error_id(chair.ask("meeting.operator")), "CC-OPERATOR-DENIED");
  EXPECT_EQ(error_id(chair.ask("meeting.record", {{"recording", true}})), "CC-RECORD");
}

void talk_both_ways(Meeting& meeting, media::SipTransport transport) {
  meeting.start();
  const auto callee = meeting.callee(transport);
  TestPhone chair(*meeting.service, "Chair");
  ASSERT_TRUE(chair.join("246810"));
  Person bo(*meeting.service, "135790", "bo");
  ASSERT_TRUE(bo.participant);
  const Json called = chair.ask("meeting.dial_out", {{"to", callee->address()}, {"name", "Desk"}});
  const std::string id = called.value("/result/participant"_json_pointer, "");
  ASSERT_FALSE(id.empty()) << called.dump();
  ASSERT_TRUE(eventually(
      [&] {
        const Json entry = chair.tree("roster").value(id, Json::object());
        return entry.value("kind", "") == "called" && !entry.contains("call");
      },
      5s))
      << chair.tree("roster").dump();
  EXPECT_EQ(callee->secured(), transport == media::SipTransport::kTls);
  callee->say(800);
  bo.say(500);
  EXPECT_TRUE(eventually([&] { return callee->hears(500) > -26; }, 5s));
  const auto hears_bo = [&] {
    const std::int64_t from = SystemClock::now();
    std::this_thread::sleep_for(200ms);
    return tone_db(bo.heard(from, from + 200 * kMs), 800);
  };
  EXPECT_TRUE(eventually([&] { return hears_bo() > -26; }, 5s));
  EXPECT_TRUE(eventually([&] { return chair.entry("Desk").second.value("talking", false); }, 3s));
  // Muting and ending it is the chairperson's as with everybody.
  EXPECT_TRUE(chair.ask("meeting.mute", {{"participant", id}, {"muted", true}}).contains("result"));
  EXPECT_TRUE(eventually([&] { return hears_bo() < -60; }, 3s));
  EXPECT_TRUE(chair.ask("meeting.eject", {{"participant", id}}).contains("result"));
  EXPECT_TRUE(eventually([&] { return !callee->in_call(); }, 5s));
  EXPECT_TRUE(eventually([&] { return !chair.tree("roster").contains(id); }, 3s));
}

TEST_F(Meeting, F111_a_telephone_is_called_in_over_tls_with_srtp) {
  talk_both_ways(*this, media::SipTransport::kTls);
}
TEST_F(Meeting, F111_a_telephone_is_called_in_over_udp_with_plain_rtp) {
  talk_both_ways(*this, media::SipTransport::kUdp);
}

TEST_F(Meeting, F111_busy_silent_and_unreachable_are_told_apart) {
  start();
  const auto busy = callee(media::SipTransport::kUdp, Callee::Manner::kBusy);
  const auto rings = callee(media::SipTransport::kTcp, Callee::Manner::kRings);
  TestPhone chair(*service, "Chair"), other(*service, "Other");
  ASSERT_TRUE(chair.join("246810") && other.join("135790"));
  const auto outcome = [&](const std::string& to) {
    const std::string id = chair.ask("meeting.dial_out", {{"to", to}})
                               .value("/result/participant"_json_pointer, "none");
    std::string shown = "nothing";
    eventually(
        [&] {
          shown =
              other.tree("roster").value(id, Json::object()).value("/error/id"_json_pointer, "");
          return !shown.empty();
        },
        12s);
    return shown;
  };
  EXPECT_EQ(outcome(busy->address()), "CC-DIALOUT");
  EXPECT_EQ(outcome("sip:x@127.0.0.1:9;transport=tcp"), "CC-DIALOUT-CCS");
  const std::string id = chair.ask("meeting.dial_out", {{"to", rings->address()}})
                             .value("/result/participant"_json_pointer, "none");
  EXPECT_TRUE(eventually(
      [&] { return other.tree("roster").value(id, Json::object()).value("call", "") == "ringing"; },
      3s));
  EXPECT_TRUE(eventually(
      [&] { return other.tree("roster").value(id, Json::object()).contains("error"); }, 9s));
  // What failed is shown for a while and then gone.
  for (int i = 0; i < 15 && other.tree("roster").size() > 2; ++i) {
    std::this_thread::sleep_for(1s);
    service->tick();
  }
  EXPECT_TRUE(eventually([&] { return other.tree("roster").size() == 2; }, 1s))
      << other.tree("roster").dump();
}

TEST_F(Meeting, F111_who_was_called_is_not_left_alone_in_the_conference) {
  start();
  const auto desk = callee(media::SipTransport::kUdp);
  TestPhone chair(*service, "Chair");
  ASSERT_TRUE(chair.join("246810"));
  chair.ask("meeting.dial_out", {{"to", desk->address()}});
  ASSERT_TRUE(eventually([&] { return desk->in_call(); }, 5s));
  chair.ask("call.leave");
  EXPECT_TRUE(eventually([&] { return !desk->in_call(); }, 5s));
}

TEST_F(Meeting, F113_an_operator_is_called_in_and_everybody_sees_who_asked) {
  std::optional<Callee> desk;
  start();  // for the certificates
  service.reset();
  desk.emplace(media::SipTransport::kUdp, folder.path("op"), "", "", "");
  start([&](ServiceConfig& config) {
    config.operator_address = "100";
    // A number goes to the gateway.
    const std::string address = desk->address();
    config.dial_out.gateway = "sip:" + address.substr(address.find('@') + 1);
  });
  TestPhone chair(*service, "Chair"), other(*service, "Other");
  ASSERT_TRUE(chair.join("246810") && other.join("135790"));
  EXPECT_TRUE(other.ask("meeting.operator").contains("result"));
  ASSERT_TRUE(eventually([&] { return desk->in_call(); }, 5s));
  EXPECT_NE(desk->asked_for().find("100@"), std::string::npos) << desk->asked_for();
  EXPECT_TRUE(eventually(
      [&] {
        const Json entry = chair.entry("Operator").second;
        return entry.value("kind", "") == "operator" && !entry.contains("call");
      },
      3s));
  EXPECT_TRUE(
      eventually([&] { return !chair.entry("Other").second.value("operator_asked", false); }, 3s))
      << "he is there";
  // The operator is spared from "mute all".
  chair.ask("meeting.mute_all", {{"muted", true}});
  EXPECT_TRUE(eventually([&] { return chair.entry("Other").second.value("muted", false); }, 3s));
  EXPECT_FALSE(chair.entry("Operator").second.value("muted", true));
}

TEST_F(Meeting, F117_a_recording_is_a_whole_file_with_the_sound_of_the_conference) {
  start();
  TestPhone chair(*service, "Chair");
  ASSERT_TRUE(chair.join("246810"));
  Person anna(*service, "135790", "anna");
  ASSERT_TRUE(anna.participant);
  anna.say(1000);
  std::this_thread::sleep_for(500ms);
  ASSERT_TRUE(chair.ask("meeting.record", {{"recording", true}}).contains("result"));
  EXPECT_TRUE(eventually([&] { return chair.tree("meeting").value("recording", false); }, 1s));
  EXPECT_GT(chair.tree("meeting").value("recording_since_ms", std::int64_t{0}), 1'700'000'000'000);
  EXPECT_TRUE(chair.ask("meeting.record", {{"recording", true}}).contains("result")) << "again";
  EXPECT_TRUE(recordings().empty()) << "no half files";
  std::this_thread::sleep_for(2s);
  ASSERT_TRUE(chair.ask("meeting.record", {{"recording", false}}).contains("result"));
  ASSERT_EQ(recordings().size(), 1u);
  const auto sound = read_wav(recordings()[0]);
  ASSERT_GT(sound.size(), 48000u * 3 / 2);
  EXPECT_NEAR(tone_db(sound, 1000), -23.0, 2.0);
  EXPECT_EQ(
      std::filesystem::status(recordings()[0]).permissions() & std::filesystem::perms::others_all,
      std::filesystem::perms::none);
}

TEST_F(Meeting, F117_a_recording_goes_on_when_the_mixer_dies_and_ends_with_the_conference) {
  start();
  TestPhone chair(*service, "Chair");
  ASSERT_TRUE(chair.join("246810"));
  Person anna(*service, "135790", "anna");
  ASSERT_TRUE(anna.participant);
  anna.say(1000);
  ASSERT_TRUE(chair.ask("meeting.record", {{"recording", true}}).contains("result"));
  std::this_thread::sleep_for(1500ms);
  ASSERT_EQ(kill(service->bridge_status().pid, SIGKILL), 0);
  std::this_thread::sleep_for(2500ms);
  EXPECT_TRUE(chair.tree("meeting").value("recording", false));
  chair.ask("call.leave");
  anna.participant->leave();
  ASSERT_TRUE(eventually([&] { return recordings().size() == 2; }, 8s)) << recordings().size();
  for (const auto& file : recordings()) {
    const auto sound = read_wav(file);
    EXPECT_GT(sound.size(), 24000u) << file;
    EXPECT_NEAR(tone_db(sound, 1000), -23.0, 2.0) << file;
  }
}

TEST_F(Meeting, F117_no_folder_for_recordings_is_told_and_nothing_claims_to_record) {
  start(
      [&](ServiceConfig& config) { config.recordings = folder.path("c.json") + "/below-a-file"; });
  TestPhone chair(*service, "Chair");
  ASSERT_TRUE(chair.join("246810"));
  EXPECT_EQ(error_id(chair.ask("meeting.record", {{"recording", true}})), "CC-RECORD");
  EXPECT_FALSE(chair.tree("meeting").value("recording", true));
}

}  // namespace
}  // namespace conclave::service
