// SPDX-License-Identifier: Apache-2.0
#include "control/errors/catalogue.h"
#include "control/provider/profile.h"
#include "control/provider/words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "control/settings/store.h"
#include "tests/support/temp_folder.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;

std::string example_path() { return CONCLAVE_EXAMPLE_PROFILE; }

Json example() {
  std::ifstream in(example_path());
  return Json::parse(in);
}

ProviderProfile read(const Json& json) {
  auto profile = parse_provider_profile(json.dump());
  EXPECT_TRUE(profile.ok()) << (profile.ok() ? "" : profile.error().message);
  return profile.ok() ? *profile : ProviderProfile{};
}

std::string fault_of(const std::string& text) {
  const auto profile = parse_provider_profile(text);
  return profile.ok() ? "(taken)" : profile.error().message;
}

const FirewallRule* rule_for(const ProviderProfile& profile, std::string_view destination) {
  const auto at = std::find_if(profile.firewall.begin(), profile.firewall.end(),
                               [&](const auto& rule) { return rule.destination == destination; });
  return at == profile.firewall.end() ? nullptr : &*at;
}

TEST(Provider, F9_support_contacts_by_region_are_the_profiles_data) {
  const ProviderProfile& profile = built_in_provider_profile();
  ASSERT_EQ(profile.support.size(), 3U);
  EXPECT_EQ(profile.support[0].region, "Americas");
  EXPECT_EQ(profile.support[0].email, "helpdesk@btci.com");
  EXPECT_EQ(profile.support[1].region, "Asia Pacific");
  EXPECT_EQ(profile.support[1].email, "asia.conferencing@bt.com");
  EXPECT_EQ(profile.support[2].region, "United Kingdom and Europe");
  EXPECT_EQ(profile.support[2].email, "btc.meetme@bt.com");
  for (const auto& contact : profile.support) {
    EXPECT_EQ(contact.page, "http://www.btconferencing.com/contact-us/");
  }
  // Another provider's are others, without another program.
  const auto other = load_provider_profile(example_path());
  ASSERT_TRUE(other.ok()) << other.error().message;
  ASSERT_EQ(other->support.size(), 1U);
  EXPECT_EQ(other->support[0].email, "help@example.com");
  EXPECT_EQ(other->support[0].phone, "+1 555 0100");
}

TEST(Provider, F67_firewall_requirements_name_destination_protocol_ports_and_purpose) {
  const ProviderProfile& profile = built_in_provider_profile();
  EXPECT_EQ(profile.firewall_guide,
            "http://www.btconferencing.com/downloads-library/apps/dolby-voice/");
  for (const char* server : {"console.dolbyvoice.com", "bt.dcc.dolbyvoice.com"}) {
    const FirewallRule* rule = rule_for(profile, server);
    ASSERT_NE(rule, nullptr) << server;
    EXPECT_EQ(rule->protocol, "HTTPS");
    EXPECT_EQ(rule->ports, "443");
    EXPECT_FALSE(rule->purpose.empty());
  }
  EXPECT_TRUE(profile.notes.empty()) << profile.notes[0];
  const Json shown = to_json(profile);
  EXPECT_EQ(shown["firewall"]["requirements"].size(), profile.firewall.size());
}

TEST(Provider, F68_https_to_the_service_for_authentication_is_among_them) {
  const FirewallRule* rule = rule_for(built_in_provider_profile(), "my.webjoin.com");
  ASSERT_NE(rule, nullptr);
  EXPECT_EQ(rule->protocol, "HTTPS");
  EXPECT_EQ(rule->ports, "443");
  EXPECT_NE(rule->purpose.find("uthentication"), std::string::npos);
  // A profile that forgets its own service is told so.
  Json forgetful = example();
  forgetful["firewall"]["requirements"].erase(0);
  const auto notes = read(forgetful).notes;
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_NE(notes[0].find("meet.example.com"), std::string::npos);
}

TEST(Provider, addresses_come_from_the_provider_layer) {
  Registry settings;
  EXPECT_EQ(settings.get_text(Key::kDvmsServerAddress), "") << "no provider stands in the code";
  ASSERT_TRUE(apply_provider_profile(built_in_provider_profile(), settings).ok());
  EXPECT_EQ(settings.get_text(Key::kDvmsServerAddress),
            "https://my.webjoin.com/dolby/ws/rest/callcontrol");
  EXPECT_EQ(settings.get_text(Key::kProvisioningConsoleUrl), "https://console.dolbyvoice.com/");
  EXPECT_EQ(settings.get_text(Key::kProvisioningServerAddress), "https://bt.dcc.dolbyvoice.com");
  EXPECT_EQ(settings.layer_of(Key::kDvmsServerAddress), Layer::kProvider);
  // The site's own address counts more, and stays.
  EXPECT_TRUE(
      settings.apply(Layer::kSite, {{"Dvms.Server.Address", "https://here.example/"}}).ok());
  ASSERT_TRUE(apply_provider_profile(built_in_provider_profile(), settings).ok());
  EXPECT_EQ(settings.get_text(Key::kDvmsServerAddress), "https://here.example/");
}

TEST(Provider, another_profile_takes_back_what_the_first_one_set) {
  Registry settings;
  const ProviderProfile other = read(example());
  ASSERT_TRUE(apply_provider_profile(other, settings).ok());
  EXPECT_EQ(settings.get_text(Key::kNetworkNtpServer1), "time.example.com");
  EXPECT_EQ(settings.get_text(Key::kDvmsServerAddress),
            "https://meet.example.com/ws/rest/callcontrol");
  ASSERT_TRUE(apply_provider_profile(built_in_provider_profile(), settings).ok());
  EXPECT_EQ(settings.layer_of(Key::kNetworkNtpServer1), Layer::kFactory);
  EXPECT_EQ(settings.get_text(Key::kDvmsServerAddress),
            "https://my.webjoin.com/dolby/ws/rest/callcontrol");
}

TEST(Provider, what_a_configuration_says_of_the_provider_stays) {
  Registry settings;
  ASSERT_TRUE(apply_provider_profile(built_in_provider_profile(), settings).ok());
  EXPECT_TRUE(settings
                  .apply(Layer::kProvider, {{"Dvms.Server.Address", "https://own.example/"},
                                            {"Dvms.Proxy.Port", 3128}})
                  .ok());
  ASSERT_TRUE(apply_provider_profile(built_in_provider_profile(), settings).ok());
  EXPECT_EQ(settings.get_text(Key::kDvmsServerAddress), "https://own.example/");
  ASSERT_TRUE(apply_provider_profile(read(example()), settings).ok());
  EXPECT_EQ(settings.get_text(Key::kDvmsServerAddress), "https://own.example/");
  EXPECT_EQ(settings.get_int(Key::kDvmsProxyPort), 3128);
  EXPECT_EQ(settings.get_text(Key::kProvisioningConsoleUrl), "https://console.example.com/");
  // Once it says nothing any more, the profile's value is there again.
  EXPECT_TRUE(settings.apply(Layer::kProvider, {{"Dvms.Server.Address", nullptr}}).ok());
  ASSERT_TRUE(apply_provider_profile(read(example()), settings).ok());
  EXPECT_EQ(settings.get_text(Key::kDvmsServerAddress),
            "https://meet.example.com/ws/rest/callcontrol");
}

TEST(Provider, the_same_profile_at_the_next_start_writes_nothing) {
  const conclave::test::TempFolder folder;
  const std::string path = folder.path() + "/provider.conclave";
  {
    Registry settings(std::make_unique<Store>(path));
    settings.load();
    ASSERT_TRUE(apply_provider_profile(built_in_provider_profile(), settings).ok());
  }
  const auto written = std::filesystem::last_write_time(path);
  Registry settings(std::make_unique<Store>(path));
  EXPECT_EQ(settings.load(), "");
  ASSERT_TRUE(apply_provider_profile(built_in_provider_profile(), settings).ok());
  EXPECT_EQ(std::filesystem::last_write_time(path), written);
  ASSERT_TRUE(apply_provider_profile(read(example()), settings).ok());
  EXPECT_EQ(settings.get_text(Key::kProvisioningServerAddress), "https://phones.example.com/");
}

TEST(Provider, unknown_keys_are_read_over_and_noted) {
  Json json = example();
  json["colour"] = "blue";
  json["support"][0]["fax"] = "+1 555 0101";
  const auto notes = read(json).notes;
  ASSERT_EQ(notes.size(), 2U);
  EXPECT_NE(notes[0].find("colour"), std::string::npos);
  EXPECT_NE(notes[1].find("support[0].fax"), std::string::npos);
}

TEST(Provider, wrong_profiles_are_refused_with_the_place_and_what_would_be_right) {
  const struct {
    const char* pointer;
    Json value;
    const char* says;
  } wrong[] = {
      {"/schema", "conclave-provider/9", "schema must be \"conclave-provider/1\""},
      {"/id", "Big Co", "id must be of small letters"},
      {"/id", "", "id must not be empty"},
      {"/name", 7, "name must be a text"},
      {"/name", std::string(129, 'x'), "name must have at most 128"},
      {"/name", "two\nlines", "on one line"},
      {"/logo", "../logo.svg", "without a path"},
      {"/logo", "logo.exe", "without a path"},
      {"/addresses", Json::array(), "addresses must be an object"},
      {"/addresses/call_control", "http://meet.example.com/", "https://"},
      {"/addresses/call_control", "https://user:pass@host/", "without user"},
      {"/addresses/call_control", 5, "addresses.call_control"},
      {"/addresses/console", "https://" + std::string(5000, 'x'), "addresses.console"},
      {"/settings", "none", "settings must be an object"},
      {"/settings", {{"No.Such.Setting", 1}}, "not a setting of this phone"},
      {"/settings", {{"Dvms.Proxy.Password", "hidden-word"}}, "is secret"},
      {"/settings", {{"Device.SerialNumber", "1"}}, "cannot be set by a profile"},
      {"/settings", {{"Provider.Profile.File", "/x"}}, "cannot be set by a profile"},
      {"/settings", {{"Dvms.Proxy.Port", 99999}}, "from 1 to 65535"},
      {"/settings", {{"dvms.server.address", "https://a.example/"}}, "is given twice"},
      {"/texts", {{"Some Name", "x"}}, "texts must have names of small letters"},
      {"/texts/help_desk", true, "texts.help_desk must be a text"},
      {"/texts/help_desk", std::string(513, 'x'), "at most 512"},
      {"/support", Json::object(), "support must be a list"},
      {"/support/0", "call us", "support[0] must be an object"},
      {"/support/0/email", "nobody", "support[0].email must be an e-mail address"},
      {"/support/0/page", "javascript:alert(1)", "support[0].page must be an address"},
      {"/support/0", {{"region", "Moon"}}, "must have an email, a phone or a page"},
      {"/support", Json(std::vector<Json>(33, example()["support"][0])), "at most 32"},
      {"/firewall", 1, "firewall must be an object"},
      {"/firewall/guide", "see the wiki", "firewall.guide must be an address"},
      {"/firewall/requirements/0/destination", "10.0.0.0/33", "requirements[0].destination"},
      {"/firewall/requirements/0/destination", "not a host", "address/prefix"},
      {"/firewall/requirements/1/ports", "0", "requirements[1].ports must be ports"},
      {"/firewall/requirements/1/ports", "443-80", "must be ports"},
      {"/firewall/requirements/1/ports", "443,", "must be ports"},
      {"/firewall/requirements/1/ports", 443, "must be a text"},
      {"/firewall/requirements/0/purpose", "", "must not be empty"},
  };
  for (const auto& one : wrong) {
    Json json = example();
    json[Json::json_pointer(one.pointer)] = one.value;
    const std::string fault = fault_of(json.dump());
    EXPECT_NE(fault.find(one.says), std::string::npos) << one.pointer << ": " << fault;
    EXPECT_EQ(fault.find("hidden-word"), std::string::npos) << "a secret is not repeated";
  }
  for (const char* name : {"schema", "id", "name", "service"}) {
    Json json = example();
    json.erase(name);
    EXPECT_NE(fault_of(json.dump()).find(std::string(name) + " is missing"), std::string::npos);
  }
}

/// Puts the words of the built-in profile back at the end of a test.
struct BuiltInWords {
  ~BuiltInWords() { set_provider_words(to_json(built_in_provider_profile())); }
};

TEST(Provider, F9_texts_of_the_catalogues_speak_of_the_provider_in_force) {
  const BuiltInWords afterwards;
  Registry settings;
  const auto place = [&settings] {
    for (const auto& row : settings.list()) {
      if (row["name"] == "Dvms.Proxy.Port") return row["place"].get<std::string>();
    }
    return std::string();
  };
  const std::string ours = built_in_provider_profile().texts.at("provider");
  EXPECT_NE(catalogue_error("ACT-404").message.find("the " + ours + " help desk"),
            std::string::npos);
  const Error before = catalogue_error("ACT-404");
  set_provider_words(example());
  EXPECT_EQ(catalogue_error("ACT-410").message,
            "This Activation PIN has expired. Please contact the Example help desk number located "
            "in your welcome email. (410)");
  EXPECT_NE(error_json(Error{"", "ACT-423"}, Language::kGerman)["message"].get<std::string>().find(
                "Example-Helpdesks"),
            std::string::npos);
  EXPECT_NE(error_json(Error{"", "NET-950"})["remedy"].get<std::string>().find(
                "https://meet.example.com/ws/rest/callcontrol"),
            std::string::npos);
  EXPECT_EQ(place(), "Settings > Conferencing Service > Proxy");
  for (const Language language :
       {Language::kEnglish, Language::kGerman, Language::kFrench, Language::kSpanish}) {
    const std::string all = errors_json(language).dump();
    for (const char* name :
         {"BT", "Dolby", "webjoin", "DVCP", "{provider}", "{phone}", "{service_address}"}) {
      EXPECT_EQ(all.find(name), std::string::npos) << name << " in " << tag_of(language);
    }
  }
  EXPECT_EQ(settings.list().dump().find("{settings_section}"), std::string::npos);
  // A message that was made before is still known for what it is.
  EXPECT_NE(error_json(before, Language::kGerman)["message"].get<std::string>().find("Helpdesk"),
            std::string::npos);
  // A profile without any of these words.
  set_provider_words(Json{{"name", "Acme"}});
  EXPECT_NE(catalogue_error("ACT-404").message.find("the Acme help desk"), std::string::npos);
  EXPECT_EQ(with_provider_words("{settings_section} {unknown} {"),
            "Conferencing Service {unknown} {");
}

TEST(Provider, a_profile_without_a_call_control_address_leaves_it_to_the_administrator) {
  Json json = example();
  json["addresses"].erase("call_control");
  const auto profile = parse_provider_profile(json.dump());
  ASSERT_TRUE(profile.ok()) << profile.error().message;
  Registry settings;
  ASSERT_TRUE(apply_provider_profile(*profile, settings).ok());
  EXPECT_EQ(settings.layer_of(Key::kDvmsServerAddress), Layer::kFactory);
  EXPECT_EQ(settings.get_text(Key::kDvmsServerAddress), "");
  ASSERT_TRUE(settings.apply(Layer::kLocal, {{"Dvms.Server.Address", "https://a.example/"}}).ok());
  ASSERT_TRUE(apply_provider_profile(*parse_provider_profile(example().dump()), settings).ok());
  EXPECT_EQ(settings.get_text(Key::kDvmsServerAddress), "https://a.example/");
}

TEST(Provider, what_is_no_profile_at_all_is_refused) {
  EXPECT_NE(fault_of("").find("not JSON"), std::string::npos);
  EXPECT_NE(fault_of("{\"schema\":").find("not JSON"), std::string::npos);
  EXPECT_NE(fault_of("<html>").find("not JSON"), std::string::npos);
  EXPECT_NE(fault_of("[]").find("one JSON object"), std::string::npos);
  EXPECT_NE(fault_of("\"\xff\"").find("JSON"), std::string::npos);
  EXPECT_NE(fault_of(std::string(20000, '[')).find("deeper"), std::string::npos);
  EXPECT_NE(fault_of(std::string(kMaxProfileBytes + 1, ' ')).find("64 KiB"), std::string::npos);
  EXPECT_NE(fault_of("{}").find("schema is missing; id is missing"), std::string::npos)
      << "all faults at once";
  for (const char* path : {"/nonexistent.json", "/tmp", "/dev/zero"}) {
    const auto profile = load_provider_profile(path);
    ASSERT_FALSE(profile.ok()) << path;
    EXPECT_NE(profile.error().message.find(path), std::string::npos);
  }
}

}  // namespace
}  // namespace conclave::control
