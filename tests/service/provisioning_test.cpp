// SPDX-License-Identifier: Apache-2.0
// Redirect console and provisioning server, without sockets.
#include "service/provisioning/provisioning.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "service/lab_ca.h"
#include "tests/support/temp_folder.h"

namespace conclave::service {
namespace {

using Json = nlohmann::json;

std::string der_of(const std::string& file) {
  std::FILE* in = std::fopen(file.c_str(), "r");
  if (in == nullptr) return {};
  X509* certificate = PEM_read_X509(in, nullptr, nullptr, nullptr);
  std::fclose(in);
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  X509_free(certificate);
  return out;
}

struct ProvisioningTest : testing::Test {
  static inline std::optional<test::TempFolder> ca, other_ca;
  static inline LabCertificates files;
  static inline std::string certificate, foreign, servers;
  static void SetUpTestSuite() {
    files = *ensure_lab_certificates(ca.emplace().path(), {"localhost"});
    (void)ensure_lab_certificates(other_ca.emplace().path(), {"localhost"});
    ASSERT_TRUE(issue_device_certificate(ca->path(), "CV1", ca->path("cv1.pem")).ok());
    ASSERT_TRUE(issue_device_certificate(other_ca->path(), "CV1", ca->path("other.pem")).ok());
    certificate = der_of(ca->path("cv1.pem"));
    foreign = der_of(ca->path("other.pem"));
    servers = der_of(files.certificate_file);
  }
  static void TearDownTestSuite() {
    ca.reset();
    other_ca.reset();
  }

  test::TempFolder folder;
  SystemClock clock;
  FaultDesk faults;
  std::unique_ptr<Store> store;
  std::unique_ptr<Provisioning> desk;
  int notified = 0;
  bool in_call = false;
  bool known = false;

  void SetUp() override { open({}); }
  void open(ProvisioningConfig config) {
    config.folder = folder.path("provisioning");
    config.ca_file = files.ca_file;
    Provisioning::Hooks hooks;
    hooks.notify = [this] { ++notified; };
    hooks.check_sync = [this](const std::string&) { return in_call; };
    hooks.known = [this](const std::string&) { return known; };
    desk.reset();
    store.reset();
    auto database = Store::open(folder.path("service.db"));
    ASSERT_TRUE(database.ok()) << database.error().message;
    auto made = Provisioning::create(config, clock, faults, **database, hooks);
    ASSERT_TRUE(made.ok()) << made.error().message;
    desk = std::move(*made);
    store = std::move(*database);
    desk->set_origin("https://prov.example:8443");
  }
  HttpAnswer get(const std::string& path, const std::string& query = "",
                 const std::string& etag = "") {
    HttpRequest request;
    request.path = path;
    request.query = query;
    request.if_none_match = etag;
    request.certificate_der = certificate;
    return desk->handle(request);
  }
  HttpAnswer post(const std::string& path, const Json& body) {
    HttpRequest request;
    request.method = HttpMethod::kPost;
    request.path = path;
    request.body = body.dump();
    request.certificate_der = certificate;
    return desk->handle(request);
  }
  HttpAnswer admin(const std::string& path, const Json& body = nullptr,
                   HttpMethod method = HttpMethod::kPost) {
    HttpRequest request;
    request.method = body.is_null() && method == HttpMethod::kPost ? HttpMethod::kGet : method;
    if (!body.is_null()) request.body = body.dump();
    return desk->admin(request, path).value_or(HttpAnswer{599, ""});
  }
  static std::string id(const HttpAnswer& answer, const char* part = nullptr) {
    const Json error = Json::parse(answer.body).at("error");
    return part == nullptr ? error.value("id", "") : error.at(part).value("id", "");
  }
  std::string file() { return get("/provisioning/CV1/phone.conf", "model=Conclave").body; }
};

TEST_F(ProvisioningTest, F31_the_console_sends_a_known_phone_straight_to_its_provider) {
  ASSERT_EQ(admin("/provisioning/providers",
                  {{"providers",
                    {{{"id", "a"}, {"name", "Provider A"}, {"address", "https://a.example/prov"}},
                     {{"id", "b"}, {"name", "Provider B"}}}}})
                .status,
            200);
  ASSERT_EQ(admin("/phones/CV1/configuration", {{"provider", "a"}}).status, 200);
  const HttpAnswer answer = get("/console/redirect");
  EXPECT_EQ(answer.status, 307);
  EXPECT_EQ(answer.location, "https://a.example/prov");
  EXPECT_EQ(Json::parse(answer.body).at("provider").at("name"), "Provider A");
  EXPECT_EQ(Json::parse(answer.body).at("address"), "https://a.example/prov");
}

TEST_F(ProvisioningTest, F31_a_phone_of_the_directory_is_known) {
  known = true;
  EXPECT_EQ(get("/console").location, "https://prov.example:8443/provisioning");
}

TEST_F(ProvisioningTest, F32_an_unknown_phone_gets_the_list_and_is_known_once_it_has_chosen) {
  admin("/provisioning/providers",
        {{"providers",
          {{{"id", "a"}, {"name", "Provider A"}, {"address", "https://a.example/prov"}},
           {{"id", "b"}, {"name", "Provider B"}}}}});
  const Json list = Json::parse(get("/console/redirect").body).at("providers");
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[1].at("name"), "Provider B");
  EXPECT_EQ(post("/console/redirect", {{"provider", "c"}}).status, 404);
  EXPECT_EQ(post("/console/redirect", {{"provider", 7}}).status, 400);
  const HttpAnswer chosen = post("/console/redirect", {{"provider", "b"}});
  EXPECT_EQ(chosen.status, 307);
  EXPECT_EQ(chosen.location, "https://prov.example:8443/provisioning");
  open({});  // a restart later
  EXPECT_EQ(get("/console/redirect").status, 307);
}

TEST_F(ProvisioningTest, F81_F125_only_a_device_certificate_of_the_ca_opens_the_doors) {
  for (const char* path : {"/console/redirect", "/provisioning/CV1/phone.conf"}) {
    HttpRequest request;
    request.path = path;
    const HttpAnswer none = desk->handle(request);
    EXPECT_EQ(none.status, 401);
    EXPECT_EQ(id(none), "ACT-412");
    EXPECT_EQ(id(none, "detail"), "CERT-ABSENT");
    request.certificate_der = foreign;
    EXPECT_EQ(id(desk->handle(request), "detail"), "CERT-UNTRUSTED");
    request.certificate_der = servers;
    EXPECT_EQ(id(desk->handle(request), "detail"), "CERT-SERIAL");
    request.certificate_der = "no certificate at all";
    EXPECT_EQ(id(desk->handle(request), "detail"), "CERT-UNTRUSTED");
  }
  // Another phone's address.
  EXPECT_EQ(get("/provisioning/CV2/phone.conf").status, 403);
  EXPECT_EQ(get("/provisioning/../CV1/phone.conf").status, 404);
}

TEST_F(ProvisioningTest, an_open_laboratory_serves_phones_without_certificate) {
  ProvisioningConfig config;
  config.open = true;
  open(config);
  HttpRequest request;
  request.path = "/provisioning/CV9/phone.conf";
  EXPECT_EQ(desk->handle(request).status, 200);
  request.certificate_der = certificate;  // of CV1: what is shown counts
  EXPECT_EQ(desk->handle(request).status, 403);
  request.certificate_der = foreign;
  EXPECT_EQ(desk->handle(request).status, 412);
}

TEST_F(ProvisioningTest, F70_F71_a_device_configuration_holds_the_chosen_parameters_alone) {
  ASSERT_EQ(admin("/phones/CV1/configuration", {{"site", "london"},
                                                {"parameters",
                                                 {{"Sip.Account.DisplayName", "Room \"4\""},
                                                  {"Network.Services.SSHEnabled", false},
                                                  {"Dvms.Activation.Pin", "1234"}}},
                                                {"locks", {"Network.Services.SSHEnabled"}}})
                .status,
            200);
  const std::string text = file();
  EXPECT_EQ(text.rfind("conclave-configuration 1\n", 0), 0u);
  EXPECT_NE(text.find("[device]\nDvms.Activation.Pin = \"1234\"\n"
                      "lock Network.Services.SSHEnabled = \"false\"\n"
                      "Sip.Account.DisplayName = \"Room \\\"4\\\"\"\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("\nabsent default\n"), std::string::npos);
  EXPECT_EQ(text.find("include"), std::string::npos);
  // Secrets are taken, not shown; shown back, they stay.
  Json shown = Json::parse(admin("/phones/CV1/configuration").body);
  EXPECT_TRUE(shown.at("parameters").at("Dvms.Activation.Pin").is_null());
  ASSERT_EQ(admin("/phones/CV1/configuration", {{"parameters", shown.at("parameters")}}).status,
            200);
  EXPECT_NE(file().find("\"1234\""), std::string::npos);
  for (const Json& bad :
       {Json{{"parameters", {{"two\nlines.x", "1"}}}}, Json{{"parameters", {{"plain", "1"}}}},
        Json{{"locks", {"Not.There"}}}, Json{{"site", "../x"}}, Json{{"unknown", 1}},
        Json{{"absent", "maybe"}}, Json{{"parameters", {{"A.B", {1, 2}}}}}}) {
    EXPECT_EQ(admin("/phones/CV1/configuration", bad).status, 400) << bad;
  }
}

TEST_F(ProvisioningTest, layers_are_included_in_order_and_other_sites_stay_hidden) {
  const Json text{{"text", "conclave-configuration 1\n[site]\nDevice.Language = de\n"}};
  EXPECT_EQ(admin("/provisioning/models/Conclave", text).status, 200);
  EXPECT_EQ(admin("/provisioning/sites/default", text).status, 200);
  EXPECT_EQ(admin("/provisioning/sites/paris", text).status, 200);
  EXPECT_EQ(admin("/provisioning/sites/bad", Json{{"text", "hello"}}).status, 400);
  EXPECT_EQ(admin("/provisioning/sites/..%2f", text).status, 400);
  EXPECT_NE(file().find("include model-Conclave.conf\ninclude site-default.conf\n"),
            std::string::npos);
  EXPECT_EQ(get("/provisioning/CV1/site-default.conf").status, 200);
  EXPECT_EQ(get("/provisioning/CV1/model-Conclave.conf").body, text["text"]);
  EXPECT_EQ(get("/provisioning/CV1/site-paris.conf").status, 404);
  EXPECT_EQ(get("/provisioning/CV1/phones.json").status, 404);
  EXPECT_EQ(get("/provisioning/CV1/model-../phones.json").status, 404);
  EXPECT_EQ(admin("/provisioning/sites/default", nullptr, HttpMethod::kDelete).status, 204);
  EXPECT_EQ(file().find("site-default"), std::string::npos);
  EXPECT_EQ(Json::parse(admin("/provisioning").body).at("sites"), Json::array({"paris"}));
}

TEST_F(ProvisioningTest, an_unchanged_file_is_304_and_a_change_has_a_greater_revision) {
  const HttpAnswer first = get("/provisioning/CV1/phone.conf", "model=Conclave");
  ASSERT_EQ(first.status, 200);
  EXPECT_EQ(get("/provisioning/CV1/phone.conf", "model=Conclave", first.etag).status, 304);
  const auto before = desk->shelf().revision();
  open({});
  EXPECT_EQ(get("/provisioning/CV1/phone.conf", "model=Conclave", first.etag).status, 304)
      << "a restart must not look like a change";
  admin("/phones/CV1/configuration", {{"parameters", {{"Device.Name", "x"}}}});
  EXPECT_GT(desk->shelf().revision(), before);
  EXPECT_EQ(get("/provisioning/CV1/phone.conf", "model=Conclave", first.etag).status, 200);
}

TEST_F(ProvisioningTest, signed_files_end_in_a_signature_and_keep_that_of_others) {
  ProvisioningConfig config;
  config.sign = true;
  open(config);
  EXPECT_NE(file().find("\nsignature ed25519 "), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(desk->public_key_file()));
  const Json own{{"text", "conclave-configuration 1\n[site]\nsignature ed25519 QUJD\n"}};
  admin("/provisioning/sites/default", own);
  EXPECT_EQ(get("/provisioning/CV1/site-default.conf").body, own["text"]);
  open(config);  // the key stays the same
  EXPECT_NE(file().find("\nsignature ed25519 "), std::string::npos);
}

TEST_F(ProvisioningTest, reports_are_kept_the_newest_first_and_survive_a_restart) {
  for (int i = 0; i < 22; ++i) {
    EXPECT_EQ(post("/provisioning/CV1/report",
                   {{"verdict", "refused"},
                    {"revision", i},
                    {"problems", {{{"file", "phone.conf"}, {"line", 12}, {"why", "unknown"}}}}})
                  .status,
              204);
  }
  EXPECT_EQ(post("/provisioning/CV1/report", {{"verdict", 1}}).status, 400);
  EXPECT_EQ(post("/provisioning/CV1/report", Json::array()).status, 400);
  open({});
  const Json reports = Json::parse(admin("/phones/CV1/report").body).at("reports");
  ASSERT_EQ(reports.size(), static_cast<std::size_t>(Store::kReportsOfPhone));
  EXPECT_EQ(reports[0].at("revision"), 21);
  EXPECT_EQ(reports[0].at("problems")[0].at("line"), 12);
  EXPECT_TRUE(Json::parse(admin("/phones/CV7/report").body).at("reports").empty());
}

TEST_F(ProvisioningTest, a_resync_wakes_the_waiting_phone_and_goes_by_sip_in_a_call) {
  const auto rev = Json::parse(get("/provisioning/CV1/events").body).at("rev").get<int>();
  const std::string query = "since=" + std::to_string(rev) + "&wait=25";
  EXPECT_EQ(get("/provisioning/CV1/events", query).wait_s, 25);
  Json done = Json::parse(admin("/phones/CV1/resync", Json::object()).body);
  EXPECT_EQ(done, (Json{{"sip", false}, {"waiting", true}}));
  EXPECT_EQ(notified, 1);
  EXPECT_EQ(Json::parse(get("/provisioning/CV1/events", query).body).at("rev"), rev + 1);
  in_call = true;
  done = Json::parse(admin("/phones/CV1/resync", Json::object()).body);
  EXPECT_TRUE(done.at("sip").get<bool>());
  EXPECT_EQ(get("/provisioning/CV1/events", "since=x&wait=9999999999999999999999").status, 200);
}

TEST_F(ProvisioningTest, F89_ca_files_are_handed_out_to_whoever_asks) {
  std::ifstream in(files.ca_file);
  std::stringstream pem;
  pem << in.rdbuf();
  HttpRequest request;
  request.path = "/provisioning/ca.pem";
  EXPECT_EQ(desk->handle(request).body, pem.str());
  EXPECT_EQ(admin("/provisioning/cas/proxy", {{"text", pem.str()}}).status, 200);
  EXPECT_EQ(admin("/provisioning/cas/key", {{"text", "-----BEGIN PRIVATE KEY-----"}}).status, 400);
  request.path = "/provisioning/ca/proxy.pem";
  EXPECT_EQ(desk->handle(request).body, pem.str());
  request.path = "/provisioning/ca/other.pem";
  EXPECT_EQ(desk->handle(request).status, 404);
}

TEST_F(ProvisioningTest, faults_can_be_ordered_for_console_and_files) {
  ASSERT_TRUE(faults.order("SVC-TEMP", "CV1", 1, FaultStage::kConsole).ok());
  EXPECT_EQ(id(get("/console/redirect")), "SVC-TEMP");
  EXPECT_EQ(get("/console/redirect").status, 200);
  ASSERT_TRUE(faults.order("endless", "CV1", 1, FaultStage::kProvisioning).ok());
  EXPECT_EQ(get("/provisioning/CV1/phone.conf").conduct, HttpAnswer::Conduct::kEndless);
  EXPECT_EQ(get("/provisioning/CV1/phone.conf").conduct, HttpAnswer::Conduct::kProper);
}

TEST_F(ProvisioningTest, a_damaged_store_stops_the_start_instead_of_reconfiguring_phones) {
  std::ofstream(folder.path("provisioning/phones.json")) << "{\"revision\":";
  ProvisioningConfig config;
  config.folder = folder.path("provisioning");
  config.ca_file = files.ca_file;
  const auto made = Provisioning::create(config, clock, faults, *store, {});
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().message.find("phones.json"), std::string::npos);
}

}  // namespace
}  // namespace conclave::service
