// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <set>

#include "control/access/password.h"
#include "control/settings/registry.h"
#include "tests/support/temp_folder.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;

std::string error_of(Registry& registry, const std::string& name, const Json& value,
                     Layer layer = Layer::kLocal) {
  const auto outcome = registry.apply(layer, {{name, value}});
  const auto found = outcome.errors.find(name);
  return found == outcome.errors.end() ? "" : found->second;
}

TEST(SettingsCatalogue, has_every_setting_of_the_guide_by_name_or_alias) {
  static constexpr std::array kGuide = {"Features.OperationMode",
                                        "Network.Services.SSHEnabled",
                                        "Dvms.Server.Address",
                                        "Dvms.Proxy.Address",
                                        "DVMS.Proxy.Server",
                                        "Dvms.Proxy.Port",
                                        "Dvms.Proxy.User",
                                        "Dvms.Proxy.Password",
                                        "Sip.Account.DisplayName",
                                        "Sip.Account.Extension",
                                        "Sip.Account.DisplayNumber",
                                        "Sip.Account.TransportType",
                                        "Sip.Account.SecureMedia",
                                        "Sip.Account.TransportPort",
                                        "Network.Dhcp.Enabled",
                                        "Network.Ip.Address",
                                        "Network.Ip.SubnetMask",
                                        "Network.Ip.DefaultGateway",
                                        "Network.Dns.DomainName",
                                        "Network.Dns.Server1",
                                        "Network.Dns.Server2",
                                        "Network.Dhcp.*",
                                        "Network.Ntp.Server1",
                                        "Network.Ntp.Server2",
                                        "Network.Vlan.Id",
                                        "Network.Lldp.Enabled",
                                        "Network.Dot1x.Enabled",
                                        "Network.Dot1x.Identity",
                                        "Network.Dot1x.Password",
                                        "Network.Dot1x.ServerTrust",
                                        "Network.Dot1x.EapMethods",
                                        "Dvms.Proxy.PacUrl",
                                        "Dvms.Proxy.WpadEnabled",
                                        "Dvms.Proxy.AuthMethods",
                                        "Provisioning.Console.Url",
                                        "Provisioning.Server.Address",
                                        "Provisioning.Server.Type",
                                        "Provisioning.Provider",
                                        "Provisioning.Discovery.DnsSrv",
                                        "Provisioning.SetupMethod",
                                        "Dvms.Activation.Pin",
                                        "Dvms.Activation.State",
                                        "Dvms.Call.Passcode",
                                        "Dvms.Call.Email",
                                        "Dvms.Auth.Token",
                                        "Dvms.Failover",
                                        "Access.Admin.User",
                                        "Access.Admin.Password",
                                        "Network.Services.WebEnabled",
                                        "Diag.Shell.MaxSessions",
                                        "Diag.Shell.IdleTimeout",
                                        "Diag.Shell.Locale",
                                        "Security.Certificates.Trusted",
                                        "Security.Certificates.DownloadUrl",
                                        "Security.Certificates.ServiceCa",
                                        "Security.Certificates.Device",
                                        "Device.SerialNumber",
                                        "Device.Power.RequiredWatt",
                                        "Dvms.Service.Provider",
                                        "Dvms.Service.Type",
                                        "Dvms.Custom.Parameter1",
                                        "Phone.App.Url",
                                        "Phone.App.Status",
                                        "Dvms.Hub.AppUrl",
                                        "Provisioning.Software.AppVersion",
                                        "Device.Status.DiagnosticsUpload"};
  EXPECT_EQ(kGuide.size(), 66U);
  for (const char* name : kGuide) EXPECT_NE(find_setting(name), nullptr) << name;
  int named = 0;
  for (const SettingRow& row : settings_catalogue()) named += row.named_in_guide ? 1 : 0;
  EXPECT_EQ(named + 1, 9);  // the ninth name of the guide is an alias
}

TEST(SettingsCatalogue, rows_are_complete_and_in_the_order_of_their_keys) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < settings_catalogue().size(); ++i) {
    const SettingRow& row = settings_catalogue()[i];
    EXPECT_EQ(static_cast<std::size_t>(row.key), i);
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_FALSE(row.title.empty() || row.help.empty() || row.group.empty() || row.owner.empty())
        << row.name;
    // What the phone ships must be what it would accept, but for the weak factory password.
    if (row.type != Type::kPassword && row.kind == Kind::kSetting) {
      const auto parsed = parse_value_text(row, row.default_text);
      ASSERT_TRUE(parsed.ok()) << row.name << ": " << parsed.error().message;
      EXPECT_EQ(*parsed, default_value(row)) << row.name;
    }
  }
}

TEST(SettingsCatalogue, proxy_has_both_names_of_the_guide_in_any_case) {
  const SettingRow* row = find_setting("Dvms.Proxy.Address");
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(find_setting("DVMS.Proxy.Server"), row);
  EXPECT_EQ(find_setting("dvms.proxy.server"), row);
  EXPECT_EQ(find_setting("Dvms.Proxy.Adress"), nullptr);
}

TEST(Settings, F54_operation_mode_selects_conferencing_or_dual) {
  Registry registry;
  EXPECT_EQ(registry.get_text(Key::kFeaturesOperationMode), "Conferencing mode");
  EXPECT_TRUE(registry.apply(Layer::kLocal, {{"Features.OperationMode", "Dual mode"}}).ok());
  EXPECT_EQ(registry.get_text(Key::kFeaturesOperationMode), "Dual mode");
  EXPECT_NE(error_of(registry, "Features.OperationMode", "Party mode").find("Dual mode"),
            std::string::npos);
  EXPECT_EQ(registry.get_text(Key::kFeaturesOperationMode), "Dual mode");
}

TEST(Settings, F45_administrator_has_the_factory_values_of_the_guide) {
  const Registry registry;
  EXPECT_EQ(registry.get_text(Key::kAccessAdminUser), "admin");
  EXPECT_EQ(registry.get_text(Key::kAccessAdminPassword), "1739");
}

TEST(Settings, F57_F62_F73_network_and_account_settings_of_the_guide_take_their_values) {
  Registry registry;
  const auto outcome = registry.apply(Layer::kLocal, {{"Network.Ntp.Server1", "0.au.pool.ntp.org"},
                                                      {"Network.Ntp.Server2", "192.0.2.5"},
                                                      {"Dvms.Proxy.Address", "proxy.example.com"},
                                                      {"Dvms.Proxy.Port", 3128},
                                                      {"Dvms.Proxy.User", "phone"},
                                                      {"Dvms.Proxy.Password", "secret word"},
                                                      {"Sip.Account.TransportType", "TLS"},
                                                      {"Sip.Account.SecureMedia", "Mandatory"},
                                                      {"Sip.Account.TransportPort", 5061},
                                                      {"Network.Vlan.Id", 4094}});
  EXPECT_TRUE(outcome.ok());
  EXPECT_EQ(registry.get_int(Key::kDvmsProxyPort), 3128);
  EXPECT_EQ(registry.get_int(Key::kNetworkVlanId), 4094);
}

TEST(Settings, values_are_checked_with_a_message_that_helps) {
  Registry registry;
  const struct {
    const char* name;
    Json value;
    const char* says;
  } wrong[] = {{"Dvms.Proxy.Port", 0, "from 1 to 65535"},
               {"Dvms.Proxy.Port", "80x", "whole number"},
               {"Dvms.Proxy.Port", 80.5, "whole number"},
               {"Dvms.Proxy.Port", 18446744073709551615ULL, "from 1 to 65535"},
               {"Network.Vlan.Id", 4095, "from 0 to 4094"},
               {"Network.Dhcp.Enabled", "perhaps", "true or false"},
               {"Network.Ip.Address", "300.1.1.1", "IPv4"},
               {"Network.Ip.SubnetMask", "255.0.255.0", "subnet mask"},
               {"Dvms.Server.Address", "http://my.webjoin.com/", "https://"},
               {"Dvms.Server.Address", "https://user:pass@host/", "without user"},
               {"Dvms.Server.Address", "https://host:99999/", "address such as"},
               {"Dvms.Server.Address", "https://", "address such as"},
               {"Network.Ntp.Server1", "not a host", "host name"},
               {"Network.Ntp.Server1", "1.2.3", "host name"},
               {"Conference.AutoJoin.Email", "x", "e-mail"},
               {"Conference.AutoJoin.Email", "a@b", "e-mail"},
               {"Security.Certificates.ServiceCa", "ca.pem", "full path"},
               {"Network.Dot1x.EapMethods", Json::array({"PEAP", "LEAP"}), "some of"},
               {"Network.Dot1x.EapMethods", Json::array({"PEAP", "PEAP"}), "twice"},
               {"Sip.Account.DisplayName", std::string(65, 'x'), "at most 64"},
               {"Sip.Account.DisplayName", "bell\a", "printable"},
               {"Sip.Account.DisplayName", "\xff\xfe", "UTF-8"},
               {"Sip.Account.DisplayName", Json::object(), "of type string"},
               {"Device.SerialNumber", "X", "only be read"},
               {"Dvms.Call.Passcode", "1234", "not kept"},
               {"Access.Admin.Password", "short", "at least 8"},
               {"No.Such.Name", 1, "no setting of this name"}};
  for (const auto& w : wrong) {
    EXPECT_NE(error_of(registry, w.name, w.value).find(w.says), std::string::npos)
        << w.name << " " << w.value << ": " << error_of(registry, w.name, w.value);
  }
}

TEST(Settings, text_forms_are_taken_for_provisioning_and_command_line) {
  Registry registry;
  EXPECT_TRUE(registry
                  .apply(Layer::kDevice, {{"Network.Dhcp.Enabled", "false"},
                                          {"Dvms.Proxy.Port", "3128"},
                                          {"Dvms.Proxy.AuthMethods", "Digest, Basic"}})
                  .ok());
  EXPECT_FALSE(registry.get_bool(Key::kNetworkDhcpEnabled));
  EXPECT_EQ(registry.get_int(Key::kDvmsProxyPort), 3128);
  EXPECT_EQ(registry.get_list(Key::kDvmsProxyAuthMethods),
            (std::vector<std::string>{"Digest", "Basic"}));
}

TEST(Settings, F69_F72_display_name_from_console_and_web_interface) {
  Registry registry;
  EXPECT_TRUE(registry.apply(Layer::kSite, {{"Sip.Account.DisplayName", "Room 4"}}).ok());
  EXPECT_EQ(registry.get_text(Key::kSipAccountDisplayName), "Room 4");
  EXPECT_EQ(registry.layer_of(Key::kSipAccountDisplayName), Layer::kSite);
  EXPECT_TRUE(registry.apply(Layer::kLocal, {{"sip.account.displayname", "Böckler"}}).ok());
  EXPECT_EQ(registry.get_text(Key::kSipAccountDisplayName), "Böckler");
  EXPECT_EQ(row_of(Key::kSipAccountDisplayName).place,
            "Settings > IP PBX Settings > Account > Display Name");
}

TEST(Settings, layers_override_each_other_and_null_takes_a_value_away) {
  Registry registry;
  const Key key = Key::kAudioAgcTarget;
  const auto set = [&](Layer layer, const Json& v) {
    EXPECT_TRUE(registry.apply(layer, {{"Audio.Agc.Target", v}}).ok());
  };
  set(Layer::kProvider, -20);
  set(Layer::kDevice, -25);
  set(Layer::kSite, -30);  // weaker than device: kept, not in force
  EXPECT_EQ(registry.get_int(key), -25);
  EXPECT_EQ(registry.layer_of(key), Layer::kDevice);
  set(Layer::kDevice, nullptr);
  EXPECT_EQ(registry.get_int(key), -30);
  set(Layer::kSite, nullptr);
  set(Layer::kProvider, nullptr);
  EXPECT_EQ(registry.layer_of(key), Layer::kFactory);
}

TEST(Settings, a_locked_key_keeps_the_layers_above_out) {
  Registry registry;
  EXPECT_TRUE(registry.apply(Layer::kLocal, {{"Dvms.Proxy.Port", 1111}}).ok());
  EXPECT_TRUE(registry.apply(Layer::kProvider, {{"Dvms.Proxy.Port", 2222}}).ok());
  EXPECT_EQ(registry.get_int(Key::kDvmsProxyPort), 1111);
  ASSERT_TRUE(registry.lock(Layer::kProvider, Key::kDvmsProxyPort, true).ok());
  EXPECT_EQ(registry.get_int(Key::kDvmsProxyPort), 2222);
  EXPECT_TRUE(registry.locked_for(Key::kDvmsProxyPort, Layer::kLocal));
  EXPECT_NE(error_of(registry, "Dvms.Proxy.Port", 3333).find("locked by the layer provider"),
            std::string::npos);
  EXPECT_TRUE(registry.apply(Layer::kProvider, {{"Dvms.Proxy.Port", 4444}}).ok());
  ASSERT_TRUE(registry.lock(Layer::kProvider, Key::kDvmsProxyPort, false).ok());
  EXPECT_EQ(registry.get_int(Key::kDvmsProxyPort), 1111);
}

TEST(Settings, apply_is_all_or_nothing_and_tells_the_owner_once) {
  Registry registry;
  std::vector<Key> told;
  const auto observing = registry.observe(
      [&](std::span<const Key> keys) { told.insert(told.end(), keys.begin(), keys.end()); });
  auto outcome = registry.apply(Layer::kLocal, {{"Dvms.Proxy.Port", 99}, {"Network.Vlan.Id", -1}});
  EXPECT_FALSE(outcome.ok());
  EXPECT_EQ(registry.get_int(Key::kDvmsProxyPort), 8080);
  EXPECT_TRUE(told.empty());
  outcome = registry.apply(
      Layer::kLocal,
      {{"Dvms.Proxy.Port", 99}, {"Audio.EchoCanceller.Tail", 250}, {"Network.Vlan.Id", 0}});
  EXPECT_TRUE(outcome.ok());
  EXPECT_EQ(outcome.restart, Restart::kReboot);
  EXPECT_EQ(told.size(), 2U);  // the VLAN was 0 before
}

TEST(Settings, values_that_do_not_fit_together_are_refused) {
  Registry registry;
  registry.add_check([](const Registry::Getter& get) -> std::map<std::string, std::string> {
    if (!std::get<bool>(get(Key::kNetworkDhcpEnabled)) &&
        std::get<std::string>(get(Key::kNetworkIpAddress)).empty()) {
      return {{"Network.Ip.Address", "an address is needed when DHCP is off"}};
    }
    return {};
  });
  EXPECT_FALSE(registry.apply(Layer::kLocal, {{"Network.Dhcp.Enabled", false}}).ok());
  EXPECT_TRUE(registry.get_bool(Key::kNetworkDhcpEnabled));
  EXPECT_TRUE(registry
                  .apply(Layer::kLocal,
                         {{"Network.Dhcp.Enabled", false}, {"Network.Ip.Address", "192.0.2.10"}})
                  .ok());
}

TEST(Settings, secrets_are_neither_listed_nor_exported) {
  Registry registry;
  ASSERT_TRUE(registry
                  .apply(Layer::kLocal, {{"Dvms.Proxy.Password", "geheim-123"},
                                         {"Access.Admin.Password", "correct horse"},
                                         {"Dvms.Proxy.User", "phone"}})
                  .ok());
  const std::string shown = registry.list().dump() + registry.export_values().dump();
  EXPECT_EQ(shown.find("geheim-123"), std::string::npos);
  EXPECT_EQ(shown.find("correct horse"), std::string::npos);
  EXPECT_EQ(shown.find("$argon2"), std::string::npos);
  EXPECT_EQ(registry.export_values(), Json({{"Dvms.Proxy.User", "phone"}}));
}

TEST(Settings, the_administrators_password_is_kept_as_a_hash) {
  conclave::test::TempFolder folder;
  Registry registry(std::make_unique<Store>(folder.path() + "/s"));
  ASSERT_TRUE(registry.apply(Layer::kLocal, {{"Access.Admin.Password", "correct horse"}}).ok());
  const std::string stored = registry.get_text(Key::kAccessAdminPassword);
  EXPECT_TRUE(looks_hashed(stored));
  EXPECT_TRUE(verify_password(stored, "correct horse"));
  EXPECT_FALSE(verify_password(stored, "correct hors"));
  EXPECT_EQ(Store(folder.path() + "/s").load().content.find("correct horse"), std::string::npos);
  // Nobody may hand in a hash of his own making as a local password.
  ASSERT_TRUE(registry.apply(Layer::kLocal, {{"Access.Admin.Password", stored}}).ok());
  EXPECT_FALSE(verify_password(registry.get_text(Key::kAccessAdminPassword), "correct horse"));
}

TEST(Settings, survive_a_restart_with_layers_locks_and_what_another_version_wrote) {
  conclave::test::TempFolder folder;
  const std::string path = folder.path() + "/settings";
  {
    Registry registry(std::make_unique<Store>(path));
    ASSERT_TRUE(registry.apply(Layer::kSite, {{"Dvms.Proxy.Port", 3128}}).ok());
    ASSERT_TRUE(registry.lock(Layer::kSite, Key::kDvmsProxyPort, true).ok());
  }
  Json root = Json::parse(Store(path).load().content);
  root["values"]["local"]["Future.Setting"] = 7;
  root["values"]["local"]["Network.Vlan.Id"] = 9999;  // out of range for this version
  ASSERT_TRUE(Store(path).save(root.dump()).ok());
  Registry registry(std::make_unique<Store>(path));
  EXPECT_NE(registry.load().find("from 0 to 4094"), std::string::npos);
  EXPECT_EQ(registry.get_int(Key::kDvmsProxyPort), 3128);
  EXPECT_TRUE(registry.locked_for(Key::kDvmsProxyPort, Layer::kLocal));
  EXPECT_EQ(registry.get_int(Key::kNetworkVlanId), 0);
  ASSERT_TRUE(registry.apply(Layer::kLocal, {{"Dvms.Proxy.User", "x"}}).ok());
  EXPECT_EQ(Json::parse(Store(path).load().content)["values"]["local"]["Future.Setting"], 7);
}

TEST(Settings, a_full_disk_changes_nothing) {
  Registry registry(std::make_unique<Store>("/nonexistent-folder/settings"));
  const auto outcome = registry.apply(Layer::kLocal, {{"Dvms.Proxy.Port", 99}});
  EXPECT_FALSE(outcome.ok());
  EXPECT_EQ(registry.get_int(Key::kDvmsProxyPort), 8080);
}

}  // namespace
}  // namespace conclave::control
