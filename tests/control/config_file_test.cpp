// SPDX-License-Identifier: Apache-2.0
#include "control/provisioning/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "control/provisioning/config_applier.h"
#include "tests/support/temp_folder.h"

namespace conclave::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Verdict = ConfigReport::Verdict;

const std::string kHead = "conclave-configuration 1\n";

std::vector<std::string> problems_of(const std::string& text, const ConfigRules& rules = {}) {
  std::vector<std::string> out;
  for (const auto& p : parse_configuration(text, "a.conf", rules).problems) {
    out.push_back(to_text(p));
  }
  return out;
}

/// Files by name, as a server would give them.
ConfigApplier::Include from(const std::map<std::string, std::string>& files) {
  return [files](const std::string& name) -> Result<std::string> {
    const auto at = files.find(name);
    if (at == files.end()) return Error{"not there"};
    return at->second;
  };
}

TEST(ConfigFile, reads_values_locks_and_sections) {
  const auto parsed = parse_configuration(kHead +
                                              "# of the site\r\n"
                                              "revision 7\n"
                                              "absent default\n"
                                              "[site]\n"
                                              "  Sip.Account.DisplayName =  Room = 4  \n"
                                              "lock Network.Services.SSHEnabled=false\n"
                                              "unset Audio.Agc.Target\n"
                                              "[device]\n"
                                              "Dvms.Proxy.User = \" a \\\"b\\\" \"\n"
                                              "Dvms.Proxy.Address =\n",
                                          "a.conf", {});
  ASSERT_TRUE(parsed.problems.empty()) << to_text(parsed.problems.front());
  const auto& c = parsed.configuration;
  EXPECT_EQ(c.revision, 7u);
  EXPECT_TRUE(c.absent_means_default);
  const auto& site = c.sections[static_cast<std::size_t>(Layer::kSite)];
  ASSERT_EQ(site.size(), 3u);
  EXPECT_EQ(site[0].name, "Sip.Account.DisplayName");
  EXPECT_EQ(site[0].value, "Room = 4");
  EXPECT_FALSE(site[0].lock);
  EXPECT_EQ(site[0].line, 6);
  EXPECT_EQ(site[1].value, "false");
  EXPECT_TRUE(site[1].lock);
  EXPECT_EQ(site[2].value, std::nullopt);
  const auto& device = c.sections[static_cast<std::size_t>(Layer::kDevice)];
  ASSERT_EQ(device.size(), 2u);
  EXPECT_EQ(device[0].value, " a \"b\" ");
  EXPECT_EQ(device[1].value, "");
}

TEST(ConfigFile, tells_each_mistake_with_its_line) {
  EXPECT_THAT(problems_of(""), ElementsAre(HasSubstr("empty")));
  EXPECT_THAT(problems_of("{\"json\":1}\n"), ElementsAre(HasSubstr("a.conf:1: the first line")));
  EXPECT_THAT(problems_of(kHead + "A.b = 1\n"),
              ElementsAre(HasSubstr("a.conf:2: A.b: there is no section")));
  EXPECT_THAT(problems_of(kHead + "[site]\nA.b = 1\na.B = 2\n"),
              ElementsAre(HasSubstr("a.conf:4: a.B: stands twice, first in line 3")));
  EXPECT_THAT(problems_of(kHead + "[moon]\n"), ElementsAre(HasSubstr("a section is")));
  EXPECT_THAT(problems_of(kHead + "[factory]\n"), ElementsAre(HasSubstr("a section is")));
  EXPECT_THAT(problems_of(kHead + "[local]\n"), ElementsAre(HasSubstr("[local]")));
  EXPECT_THAT(
      problems_of(kHead + "revision -1\nabsent yes\nhello\n"),
      ElementsAre(HasSubstr(":2: revision"), HasSubstr(":3: absent"), HasSubstr(":4: 'hello'")));
  EXPECT_THAT(problems_of(kHead + "[site]\n= 1\n"), ElementsAre(HasSubstr("no name")));
  EXPECT_THAT(problems_of(kHead + "[site]\nA = \"x\n"), ElementsAre(HasSubstr("quoted")));
  EXPECT_THAT(problems_of(kHead + "[site]\nA = 1"), ElementsAre(HasSubstr("cut off")));
  EXPECT_THAT(problems_of(kHead + "[site]\nA = \xff\xfe\n"), ElementsAre(HasSubstr("UTF-8")));
  EXPECT_THAT(problems_of(kHead + std::string("[site]\nA = \0\n", 12)),
              ElementsAre(HasSubstr("UTF-8")));
  EXPECT_THAT(problems_of(kHead + std::string(9000, 'x') + "\n"),
              ElementsAre(HasSubstr("longer than")));
  // NOLINTNEXTLINE(bugprone-string-constructor): as long as that on purpose
  EXPECT_THAT(problems_of(kHead + std::string(10'000'000, '\n')), ElementsAre(HasSubstr("1 MiB")));
  EXPECT_THAT(problems_of(kHead + "include other.conf\n"), ElementsAre(HasSubstr("not possible")));
}

TEST(ConfigFile, includes_are_weaker_and_cannot_run_in_circles) {
  ConfigRules rules;
  rules.include = from({{"b", kHead + "[site]\nA = b\nB = b\n"},
                        {"self", kHead + "include self\n"},
                        {"ping", kHead + "include pong\n"},
                        {"pong", kHead + "include ping\n"},
                        {"wide", kHead + "[site]\n"}});
  const auto parsed =
      parse_configuration(kHead + "[site]\nA = a\n[site]\ninclude b\n", "a.conf", rules);
  ASSERT_TRUE(parsed.problems.empty());
  const auto& site = parsed.configuration.sections[static_cast<std::size_t>(Layer::kSite)];
  ASSERT_EQ(site.size(), 3u);
  EXPECT_EQ(site[0].value, "b");
  EXPECT_EQ(site[2].value, "a") << "the file's own value is the last, wherever the include stands";
  EXPECT_THAT(problems_of(kHead + "include self\n", rules),
              ElementsAre(HasSubstr("includes itself")));
  EXPECT_THAT(problems_of(kHead + "include ping\n", rules),
              ElementsAre(HasSubstr("includes itself")));
  EXPECT_THAT(problems_of(kHead + "include nowhere\n", rules), ElementsAre(HasSubstr("not there")));
  std::string many = kHead;
  for (int i = 0; i < 40; ++i) many += "include wide\n";
  EXPECT_THAT(problems_of(many, rules), testing::Contains(HasSubstr("too many includes")));
}

TEST(ConfigFile, whatever_comes_is_survived) {
  std::mt19937 random(7);
  const std::string sample =
      kHead +
      "revision 3\nabsent default\ninclude b\n[site]\nlock A.b = \"x\"\nunset "
      "C\n[device]\nD=1\nsignature ed25519 AAAA\n";
  ConfigRules rules;
  rules.include = from({{"b", sample}});
  for (int i = 0; i < 5000; ++i) {
    std::string text = sample;
    for (int k = 0; k < 1 + i % 5; ++k) {
      const std::size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, random() % 9);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 20));
      }
      if (text.empty()) text = "x";
    }
    (void)parse_configuration(text, "fuzz", rules);
  }
}

class ConfigApplierTest : public testing::Test {
 protected:
  ConfigReport apply(const std::string& text, ConfigSource source = ConfigSource::kProvisioned) {
    return applier_.apply(text, "site.conf", source);
  }
  Registry settings_;
  ConfigApplier applier_{settings_};
};

TEST_F(ConfigApplierTest, F70_applies_values_and_locks_and_tells_what_changed) {
  const auto report = apply(kHead +
                            "[site]\nSip.Account.DisplayName = Room 4\nlock "
                            "Network.Services.SSHEnabled = false\n");
  EXPECT_EQ(report.verdict, Verdict::kApplied);
  EXPECT_THAT(report.changed, testing::Contains(Key::kSipAccountDisplayName));
  EXPECT_EQ(settings_.get_text(Key::kSipAccountDisplayName), "Room 4");
  EXPECT_EQ(settings_.layer_of(Key::kSipAccountDisplayName), Layer::kSite);
  EXPECT_TRUE(settings_.locked_for(Key::kNetworkServicesSSHEnabled, Layer::kLocal));
  const auto local = settings_.apply(Layer::kLocal, {{"Network.Services.SSHEnabled", true}});
  EXPECT_FALSE(local.ok());
}

TEST_F(ConfigApplierTest, F70_nothing_is_half_applied) {
  const auto report = apply(kHead +
                            "[site]\nSip.Account.DisplayName = Room 4\nAudio.Agc.Target = loud\n"
                            "No.Such.Setting = 1\n");
  EXPECT_EQ(report.verdict, Verdict::kRefused);
  ASSERT_EQ(report.problems.size(), 2u);
  EXPECT_EQ(report.problems[0].line, 4);
  EXPECT_EQ(report.problems[0].name, "Audio.Agc.Target");
  EXPECT_EQ(report.problems[1].line, 5);
  EXPECT_EQ(settings_.layer_of(Key::kSipAccountDisplayName), Layer::kFactory);
}

TEST_F(ConfigApplierTest, the_same_file_is_not_applied_again_and_an_older_one_never) {
  const std::string text = kHead + "revision 5\n[site]\nSip.Account.DisplayName = Room 5\n";
  EXPECT_EQ(apply(text).verdict, Verdict::kApplied);
  EXPECT_EQ(apply(text).verdict, Verdict::kUnchanged);
  const auto older = apply(kHead + "revision 4\n[site]\nSip.Account.DisplayName = Room 4\n");
  EXPECT_EQ(older.verdict, Verdict::kRefused);
  EXPECT_THAT(older.problems.at(0).why, HasSubstr("older"));
  EXPECT_EQ(settings_.get_text(Key::kSipAccountDisplayName), "Room 5");
  EXPECT_EQ(apply(kHead + "revision 6\n[site]\nSip.Account.DisplayName = Room 6\n").verdict,
            Verdict::kApplied);
}

TEST_F(ConfigApplierTest, absent_means_default_only_when_the_file_says_so) {
  ASSERT_TRUE(
      apply(kHead + "[site]\nSip.Account.DisplayName = A\nlock Audio.Agc.Target = -20\n").ok());
  ASSERT_TRUE(settings_.apply(Layer::kLocal, {{"Audio.Speaker.Volume", -6}}).ok());
  ASSERT_TRUE(apply(kHead + "[site]\nSip.Account.DisplayName = B\n").ok());
  EXPECT_EQ(settings_.get_int(Key::kAudioAgcTarget), -20) << "kept";
  ASSERT_TRUE(apply(kHead + "absent default\n[site]\nSip.Account.DisplayName = C\n").ok());
  EXPECT_EQ(settings_.layer_of(Key::kAudioAgcTarget), Layer::kFactory);
  EXPECT_FALSE(settings_.locked_by(Key::kAudioAgcTarget).has_value());
  EXPECT_EQ(settings_.get_int(Key::kAudioSpeakerVolume), -6) << "another layer's";
  ASSERT_TRUE(apply(kHead + "absent default\n[device]\n").ok());
  EXPECT_NE(settings_.get_text(Key::kProvisioningConfigHash), "") << "the phone's own state stays";
}

TEST_F(ConfigApplierTest, a_dry_run_changes_nothing) {
  const auto report = applier_.apply(kHead + "[site]\nSip.Account.DisplayName = X\n", "x",
                                     ConfigSource::kImported, {}, true);
  EXPECT_EQ(report.verdict, Verdict::kWouldApply);
  EXPECT_THAT(report.changed, ElementsAre(Key::kSipAccountDisplayName));
  EXPECT_EQ(settings_.layer_of(Key::kSipAccountDisplayName), Layer::kFactory);
}

TEST_F(ConfigApplierTest, export_and_import_make_the_same_phone_without_secrets) {
  ASSERT_TRUE(apply(kHead +
                    "[provider]\nlock Dvms.Failover = false\n[site]\nAudio.Agc.Target = -20\n"
                    "Dvms.Proxy.Password = planted-secret\n")
                  .ok());
  const auto local = settings_.apply(Layer::kLocal, {{"Sip.Account.DisplayName", "\"Room\" 4"},
                                                     {"Network.Services.SSHEnabled", true}});
  ASSERT_TRUE(local.ok()) << local.errors.begin()->second;
  ASSERT_TRUE(settings_.apply(Layer::kLocal, {{"Audio.Speaker.Volume", -3}}).ok());
  const std::string file = export_configuration(settings_);
  EXPECT_THAT(file, testing::Not(HasSubstr("planted-secret")));
  Registry other;
  const auto report = ConfigApplier(other).apply(file, "export", ConfigSource::kImported);
  ASSERT_TRUE(report.ok()) << to_text(report.problems.at(0)) << "\n" << file;
  EXPECT_EQ(other.export_values(), settings_.export_values());
  EXPECT_EQ(other.get_int(Key::kAudioSpeakerVolume), -3);
  EXPECT_EQ(other.layer_of(Key::kAudioAgcTarget), Layer::kSite);
  EXPECT_TRUE(other.locked_for(Key::kDvmsFailover, Layer::kLocal));
  EXPECT_EQ(export_configuration(other), file);
}

TEST_F(ConfigApplierTest, a_report_never_tells_values) {
  const auto report =
      apply(kHead + "[site]\nDvms.Proxy.Password = planted-secret\nDvms.Proxy.Port = planted\n");
  EXPECT_THAT(to_json(report).dump(), testing::Not(HasSubstr("planted-secret")));
}

struct KeyPair {
  std::string secret, open;
  KeyPair() {
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    const auto pem = [&](auto&& write) {
      BIO* bio = BIO_new(BIO_s_mem());
      write(bio);
      char* data = nullptr;
      const long size = BIO_get_mem_data(bio, &data);
      std::string text(data, static_cast<std::size_t>(size));
      BIO_free(bio);
      return text;
    };
    secret = pem(
        [&](BIO* b) { PEM_write_bio_PrivateKey(b, key, nullptr, nullptr, 0, nullptr, nullptr); });
    open = pem([&](BIO* b) { PEM_write_bio_PUBKEY(b, key); });
    EVP_PKEY_free(key);
  }
};

TEST_F(ConfigApplierTest, with_a_key_only_signed_files_are_taken) {
  const test::TempFolder folder;
  const KeyPair ours, theirs;
  std::ofstream(folder.path("key.pem")) << ours.open;
  ASSERT_TRUE(
      settings_.apply(Layer::kDevice, {{"Provisioning.Config.SigningKey", folder.path("key.pem")}})
          .ok());
  const std::string text = kHead + "[site]\nSip.Account.DisplayName = Signed\n";
  EXPECT_THAT(apply(text).problems.at(0).why, HasSubstr("not signed"));
  const auto line = signature_line(text, ours.secret);
  ASSERT_TRUE(line.ok()) << line.error().message;
  EXPECT_THAT(apply(text + *signature_line(text, theirs.secret)).problems.at(0).why,
              HasSubstr("does not belong"));
  std::string forged = text + *line;
  forged.replace(forged.find("Signed"), 6, "Forged");
  EXPECT_FALSE(apply(forged).ok());
  EXPECT_FALSE(apply(text + *line + "[site]\nAudio.Speaker.Volume = 1\n").ok())
      << "a line behind it";
  EXPECT_EQ(settings_.layer_of(Key::kSipAccountDisplayName), Layer::kFactory);
  EXPECT_TRUE(apply(text + *line).ok());
  EXPECT_EQ(settings_.get_text(Key::kSipAccountDisplayName), "Signed");
  EXPECT_FALSE(signature_line(text, ours.open).ok()) << "a public key signs nothing";
  EXPECT_FALSE(signature_line("no end", ours.secret).ok());
  // Every file of a signed configuration is signed.
  const std::string main = kHead + "include b\n";
  EXPECT_FALSE(applier_
                   .apply(main + *signature_line(main, ours.secret), "main",
                          ConfigSource::kProvisioned, from({{"b", text}}))
                   .ok());
  // What an administrator brings himself needs no signature.
  EXPECT_TRUE(apply(text, ConfigSource::kImported).ok());
}

TEST_F(ConfigApplierTest, a_missing_key_file_refuses_everything) {
  ASSERT_TRUE(
      settings_.apply(Layer::kDevice, {{"Provisioning.Config.SigningKey", "/nowhere.pem"}}).ok());
  EXPECT_THAT(apply(kHead + "[site]\n").problems.at(0).why, HasSubstr("cannot be read"));
}

TEST(ConfigIncludes, stay_in_the_folder) {
  const test::TempFolder folder;
  std::ofstream(folder.path("b.conf")) << kHead;
  const auto include = includes_beside(folder.path("a.conf"));
  EXPECT_TRUE(include("b.conf").ok());
  EXPECT_FALSE(include("../b.conf").ok());
  EXPECT_FALSE(include("/etc/passwd").ok());
  EXPECT_FALSE(include("..").ok());
  EXPECT_FALSE(include("c.conf").ok());
}

}  // namespace
}  // namespace conclave::control
