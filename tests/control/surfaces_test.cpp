// SPDX-License-Identifier: Apache-2.0
// Every row of the settings catalogue on every surface: the methods of the web interface, the door
// that `conclave ctl` and scripts use, and configuration files, with provenance and locks.
#include <fstream>

#include "control/activation/factory_reset.h"
#include "control/door/door_client.h"
#include "control/door/local_door.h"
#include "control/provisioning/config_applier.h"
#include "control/settings/store.h"
#include "tests/control/phone_on_fakes.h"

namespace conclave::control::test {
namespace {

using Json = nlohmann::json;

/// A value of the row's type that is not its default, as a configuration file spells it; another
/// one for another `turn`.
std::string sample(const SettingRow& row, int turn) {
  const std::string n = std::to_string(turn + 1);
  switch (row.type) {
    case Type::kBool:
      return row.default_text == "true" ? "false" : "true";
    case Type::kInt:
    case Type::kPort: {
      const std::int64_t low = row.min + turn <= row.max ? row.min + turn : row.min;
      return std::to_string(std::to_string(low) == row.default_text && row.max > low ? low + 2
                                                                                     : low);
    }
    case Type::kEnum:
    case Type::kSet:
      for (std::size_t i = 0; i < row.values.size(); ++i) {
        const auto value = row.values[(i + static_cast<std::size_t>(turn)) % row.values.size()];
        if (value != row.default_text) return std::string(value);
      }
      return std::string(row.values.front());
    case Type::kList:
      return row.name == "Web.Listen.Names"           ? "a" + n + ".example,b"
             : row.name == "Dvms.Server.Alternatives" ? "https://h" + n + ".example/x"
                                                      : "hw:" + n;
    case Type::kUrl:
      return std::string(row.schemes.substr(0, row.schemes.find(','))) + "://h" + n + ".example/x";
    case Type::kHost:
    case Type::kDomain:
      return "h" + n + ".example";
    case Type::kIpv4:
      return "192.0.2." + n;
    case Type::kNetmask:
      return turn % 2 == 0 ? "255.255.0.0" : "255.255.255.128";
    case Type::kEmail:
      return "a" + n + "@example.org";
    case Type::kFile:
      return "/nonexistent/file" + n;
    case Type::kPassword:
      return "Long enough " + n + "!";
    case Type::kString:
      break;
  }
  return row.name == "Conference.AutoJoin.Passcode" ? "12345" + n
         : row.name == "Dvms.Activation.Pin"        ? "1234-" + n
         : row.name == "Web.Metrics.Token"          ? "0123456789abcdef0123456789abcde" + n
                                                    : "Text" + n;
}

class Surfaces : public PhoneOnFakes {
 protected:
  Surfaces() {
    service_->silent = true;  // a PIN that is set stays a PIN that is set
    auto opened = LocalDoor::open(local_door_path(folder_.path()), *phone_);
    EXPECT_TRUE(opened.ok());
    door_ = std::move(*opened);
  }
  ~Surfaces() override { door_.reset(); }

  Json by_door(const std::string& method, const Json& params) {
    const auto answer = ask_local_door(
        local_door_path(folder_.path()),
        Json({{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}}).dump());
    return answer ? Json::parse(*answer) : Json();
  }
  static Json row_in(const Json& list, std::string_view name) {
    for (const Json& row : list) {
      if (row["name"] == name) return row;
    }
    return {};
  }
  /// What both doors say of a row; they must say the same.
  Json seen(const SettingRow& row) {
    const Json web = row_in(ask("settings.list")["result"], row.name);
    EXPECT_EQ(web, row_in(by_door("settings.list", Json::object())["result"], row.name))
        << row.name;
    return web;
  }
  /// The row shows the value that was written as `text`, and where it comes from.
  void expect_value(const SettingRow& row, const std::string& text, const char* layer) {
    const Json shown = seen(row);
    EXPECT_EQ(shown["layer"], layer) << row.name;
    if (shown["secret"] == true) {
      EXPECT_EQ(shown["set"], true) << row.name;
      EXPECT_EQ(shown["value"], "") << row.name << " must not be told";
    } else {
      EXPECT_EQ(shown["value"], to_json(*parse_value_text(row, text))) << row.name;
    }
  }
  ConfigReport file(const std::string& line) {
    return ConfigApplier(settings_).apply("conclave-configuration 1\n[site]\n" + line + "\n",
                                          "site.conf", ConfigSource::kProvisioned);
  }
  std::unique_ptr<LocalDoor> door_;
};

TEST_F(Surfaces, F69_F70_F87_every_row_is_read_and_written_by_web_door_and_file) {
  int rows = 0;
  for (const SettingRow& row : settings_catalogue()) {
    const std::string name(row.name);
    const Json clear{{"values", {{name, nullptr}}}};
    const std::string one = sample(row, 0), two = sample(row, 1), three = sample(row, 2);
    if (row.kind != Kind::kSetting) {
      EXPECT_TRUE(ask("settings.set", {{"values", {{name, one}}}}).contains("error")) << name;
      EXPECT_TRUE(by_door("settings.set", {{"values", {{name, one}}}}).contains("error")) << name;
      EXPECT_FALSE(file(name + " = " + one).ok()) << name;
      EXPECT_FALSE(seen(row).is_null()) << name << " can be read";
      continue;
    }
    ++rows;
    const Json by_web = ask("settings.set", {{"values", {{name, one}}}});
    EXPECT_TRUE(by_web.contains("result")) << name << " = " << one << ": " << by_web;
    expect_value(row, one, "local");
    // By an alias, where there is one, and by the other door.
    const std::string other_name = row.aliases.empty() ? name : std::string(row.aliases.front());
    const Json by_other = by_door("settings.set", {{"values", {{other_name, two}}}});
    EXPECT_TRUE(by_other.contains("result")) << name << " = " << two << ": " << by_other;
    expect_value(row, two, "local");
    EXPECT_TRUE(by_door("settings.set", clear).contains("result"));
    EXPECT_EQ(seen(row)["layer"], "factory") << name;

    // A file that names a key to check signatures by would refuse the next one.
    if (name == "Provisioning.Config.SigningKey") continue;
    const ConfigReport report = file(name + " = " + three);
    EXPECT_TRUE(report.ok()) << name << " = " << three << ": "
                             << (report.problems.empty() ? "" : to_text(report.problems.front()));
    expect_value(row, three, "site");
    EXPECT_TRUE(file("lock " + name + " = " + three).ok()) << name;
    EXPECT_EQ(seen(row)["locked"], true) << name;
    for (const Json& refused : {ask("settings.set", {{"values", {{name, one}}}}),
                                by_door("settings.set", {{"values", {{name, one}}}})}) {
      ASSERT_TRUE(refused.contains("error")) << name << " is locked";
      EXPECT_NE(refused.dump().find("locked by the layer site"), std::string::npos) << refused;
    }
    expect_value(row, three, "site");
    EXPECT_TRUE(file("unset " + name).ok()) << name;
    EXPECT_EQ(seen(row)["locked"], false) << name;
    EXPECT_EQ(seen(row)["layer"], "factory") << name;
  }
  EXPECT_GE(rows, 80);
}

TEST_F(Surfaces, F95_F96_export_factory_reset_import_gives_the_same_phone) {
  const conclave::test::TempFolder data;
  const std::string ca = data.path() + "/service-ca.pem";
  std::ofstream(ca) << "certificate";
  const auto fresh = [&] {
    auto settings =
        std::make_unique<Registry>(std::make_unique<Store>(data.path() + "/settings.conclave"));
    EXPECT_EQ(settings->load(), "");
    return settings;
  };
  std::string exported;
  Json values;
  {
    const auto settings = fresh();
    // Rows go round the layers; the last of a layer are locked. What does not fit with a value
    // before it (an address outside its network) is left out.
    int set = 0;
    for (const SettingRow& row : settings_catalogue()) {
      if (row.kind != Kind::kSetting || row.secret || row.type == Type::kPassword ||
          row.key == Key::kSecurityCertificatesServiceCa) {
        continue;
      }
      constexpr Layer kRound[] = {Layer::kProvider, Layer::kSite, Layer::kDevice, Layer::kLocal};
      Registry::LayerChange change;
      change.layer = kRound[set % 4];
      const std::string name(row.name);
      change.values[name] = to_json(*parse_value_text(row, sample(row, 3)));
      if (set % 12 == 5) change.locks.insert(name);
      if (settings->apply(std::span(&change, 1)).ok()) ++set;
    }
    EXPECT_GE(set, 70);
    ASSERT_TRUE(settings->apply(Layer::kLocal, {{"Security.Certificates.ServiceCa", ca}}).ok());
    exported = export_configuration(*settings);
    values = settings->list();
  }
  ASSERT_TRUE(order_factory_reset(data.path(), ca).ok());
  const auto done = finish_factory_reset(data.path());
  ASSERT_TRUE(done.ok() && *done);
  const auto settings = fresh();
  EXPECT_EQ(settings->get_text(Key::kSecurityCertificatesServiceCa), ca) << "the CA stays";
  EXPECT_NE(settings->list(), values) << "all else is gone";
  const auto report = ConfigApplier(*settings).apply(exported, "export", ConfigSource::kImported);
  ASSERT_TRUE(report.ok()) << to_text(report.problems.front());
  const Json after = settings->list();
  for (std::size_t i = 0; i < values.size(); ++i) {
    // What belongs to the one phone and its past (serial number, last file) is not in an export.
    if (values[i]["kind"] == "state") continue;
    EXPECT_EQ(after[i], values[i]) << values[i]["name"];
  }
  EXPECT_EQ(export_configuration(*settings), exported);
}

}  // namespace
}  // namespace conclave::control::test
