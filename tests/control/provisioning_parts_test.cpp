// SPDX-License-Identifier: Apache-2.0
// The parts of provisioning that need no network.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "control/errors/catalogue.h"
#include "control/provisioning/ca_store.h"
#include "control/provisioning/lease_options.h"
#include "control/provisioning/setup_machine.h"
#include "control/provisioning/srv_lookup.h"
#include "tests/support/temp_folder.h"

namespace conclave::control {
namespace {

using S = SetupState;
using E = SetupEvent;
using A = SetupAction;
using M = SetupMethod;
using Json = nlohmann::json;

TEST(SetupMachine, F35_the_ways_follow_each_other_only_when_the_one_before_is_impossible) {
  SetupMachine machine;
  EXPECT_EQ(machine.take(E::kBegin, false, M::kPlugAndPlay).action, A::kAskConsole);
  EXPECT_FALSE(machine.take(E::kFound, false, M::kPlugAndPlay).moved) << "not while it is asked";
  EXPECT_EQ(machine.take(E::kImpossible, false, M::kPlugAndPlay).action, A::kDiscover);
  EXPECT_EQ(machine.take(E::kImpossible, false, M::kPlugAndPlay).action, A::kAskAddress);
  EXPECT_EQ(machine.take(E::kAddress, false, M::kManual).action, A::kFetch);
  EXPECT_EQ(machine.take(E::kApplied, true, M::kManual).action, A::kSettle);
  EXPECT_EQ(machine.state(), S::kReady);
}

TEST(SetupMachine, F31_a_known_phone_is_asked_nothing) {
  SetupMachine machine;
  machine.take(E::kBegin, false, M::kPlugAndPlay);
  EXPECT_EQ(machine.take(E::kKnown, false, M::kPlugAndPlay).action, A::kFetch);
}

TEST(SetupMachine, a_server_that_was_found_and_gives_nothing_leads_to_the_next_way) {
  const auto after_failure = [](bool established, M method) {
    SetupMachine machine;
    machine.take(E::kAddress, false, method);
    return machine.take(E::kFailed, established, method).action;
  };
  EXPECT_EQ(after_failure(false, M::kPlugAndPlay), A::kDiscover);
  EXPECT_EQ(after_failure(false, M::kAutomaticLocal), A::kAskAddress);
  EXPECT_EQ(after_failure(false, M::kManual), A::kWait);
  // One that has given a configuration is kept: an outage must not set the phone up anew.
  EXPECT_EQ(after_failure(true, M::kPlugAndPlay), A::kWait);
  EXPECT_EQ(after_failure(true, M::kAutomaticLocal), A::kWait);
}

TEST(SetupMachine, the_table_has_no_dead_end_and_its_errors_are_in_the_catalogue) {
  for (int i = 0; i < kSetupStateCount; ++i) {
    const auto state = static_cast<S>(i);
    const SetupStateRow& row = row_of(state);
    EXPECT_EQ(row.state, state);
    std::set<E> leaving;
    for (const SetupEdge& edge : setup_edges()) {
      if (edge.from == state) leaving.insert(edge.event);
    }
    EXPECT_FALSE(leaving.empty()) << name_of(state);
    if (state != S::kOff) {
      EXPECT_TRUE(leaving.contains(E::kStop) && leaving.contains(E::kAddress) &&
                  leaving.contains(E::kAnew))
          << name_of(state);
    }
    if (row.limit.count() > 0) {
      EXPECT_TRUE(leaving.contains(row.at_limit)) << name_of(state);
      EXPECT_NE(find_error(row.error), nullptr) << name_of(state);
    }
  }
}

TEST(SetupMachine, waits_double_up_to_half_an_hour_and_spread) {
  using std::chrono::milliseconds;
  EXPECT_EQ(setup_retry_delay(1, 0.5), milliseconds(10'000));
  EXPECT_EQ(setup_retry_delay(2, 0.5), milliseconds(20'000));
  EXPECT_EQ(setup_retry_delay(100, 0.5), milliseconds(1'800'000));
  EXPECT_EQ(setup_retry_delay(1, 0), milliseconds(8'000));
  EXPECT_EQ(setup_retry_delay(1, 1), milliseconds(12'000));
}

TEST(Lease, F33_addresses_come_from_options_160_66_and_43_in_this_order) {
  const auto lease = parse_lease_options(Json::parse(R"({"domain":"example.org",
    "dns":["10.0.0.1","[fd00::1]:5353"],
    "options":{"66":"prov.example.org","43":"hex:0114","160":"https://a.example.org/p"}})"));
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->domain, "example.org");
  std::vector<std::string> notes;
  auto servers = servers_of(*lease, &notes);
  ASSERT_EQ(servers.size(), 2u);
  EXPECT_EQ(servers[0].address, "https://a.example.org/p");
  EXPECT_EQ(servers[0].found_by, "DHCP option 160");
  EXPECT_EQ(servers[1].address, "https://prov.example.org/provisioning");
  EXPECT_EQ(notes, std::vector<std::string>{"DHCP option 43 holds no https address"});
  // Option 43: sub-option 1, padding and others around it, a zero byte at the end of the text.
  LeaseOptions vendor;
  vendor.options[43] = std::string("\x07\x02xy\0\x01\x0ehttps://v.org\0\xff", 21);
  servers = servers_of(vendor, nullptr);
  ASSERT_EQ(servers.size(), 1u);
  EXPECT_EQ(servers[0].address, "https://v.org");
  vendor.options[43] = "https://plain.example/p";
  EXPECT_EQ(servers_of(vendor, nullptr)[0].address, "https://plain.example/p");
}

TEST(Lease, what_a_network_may_say_is_not_believed_unseen) {
  for (const char* bad :
       {R"([])", R"({"domain":7})", R"({"domain":"a b"})", R"({"dns":["; rm"]})",
        R"({"options":{"x":"y"}})", R"({"options":{"66":5}})", R"({"options":{"43":"hex:0"}})",
        R"({"options":{"43":"hex:zz"}})", R"({"options":{"9999":"a"}})"}) {
    EXPECT_FALSE(parse_lease_options(Json::parse(bad)).ok()) << bad;
  }
  for (const char* bad :
       {"http://a/b", "tftp://10.0.0.1", "https://", "https:///x", "https://a b", "https://u@h/",
        "https://h/?q", "https://h/#f", "https://h/\n", "ftp://h", ""}) {
    LeaseOptions lease;
    lease.options[160] = bad;
    EXPECT_TRUE(servers_of(lease, nullptr).empty()) << bad;
  }
  for (int size = 0; size < 20; ++size) {  // sub-options cut off anywhere
    LeaseOptions lease;
    lease.options[43] = std::string("\x07\x02xy\x01\x10https://v.org/ab", 22).substr(0, size);
    EXPECT_TRUE(servers_of(lease, nullptr).empty()) << size;
  }
}

TEST(Srv, F33_records_are_tried_by_priority_and_weight) {
  const std::vector<SrvRecord> records{
      {"c", 443, 20, 0}, {"b", 443, 10, 60}, {"a", 443, 10, 40}, {"z", 443, 10, 0}};
  const auto order = [&](std::uint32_t drawn) {
    std::string names;
    bool first = true;
    for (const auto& r : in_srv_order(records, [&](std::uint32_t below) {
           const std::uint32_t out = first ? drawn : 0;
           first = false;
           EXPECT_LT(out, below);
           return out;
         })) {
      names += r.host;
    }
    return names;
  };
  EXPECT_EQ(order(0), "zabc");
  EXPECT_EQ(order(40), "azbc");
  EXPECT_EQ(order(41), "bzac");
  EXPECT_EQ(order(100), "bzac");
  EXPECT_TRUE(in_srv_order({}, [](std::uint32_t) { return 0U; }).empty());
}

struct CaFiles : testing::Test {
  test::TempFolder folder;
  CaStore store{folder.path()};
  Registry settings;
  static std::string slurp(const std::string& path) {
    std::ifstream in(path);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
  }
};

TEST_F(CaFiles, F89_nonsense_and_certificates_of_no_ca_are_refused_whole) {
  for (const std::string& bad :
       {std::string(), std::string("hello"), std::string(70'000, 'x'),
        std::string("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}) {
    EXPECT_FALSE(store.keep(bad).ok());
  }
  EXPECT_FALSE(store.forget());
  EXPECT_EQ(store.trust(settings).file, "");
  EXPECT_FALSE(store.trust(settings).system) << "nothing of its own: the library's way";
}

TEST_F(CaFiles, the_device_certificate_is_the_settings_or_lies_in_the_data_folder) {
  EXPECT_EQ(device_certificate_file(settings, folder.path()), "");
  std::ofstream(folder.path("device.pem")) << "x";
  EXPECT_EQ(device_certificate_file(settings, folder.path()), folder.path("device.pem"));
}

}  // namespace
}  // namespace conclave::control
