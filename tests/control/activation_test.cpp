// SPDX-License-Identifier: Apache-2.0
// Activation, deactivation and factory reset as the phone's methods and state tell them.
#include "control/activation/activation.h"

#include <filesystem>
#include <fstream>

#include "control/activation/factory_reset.h"
#include "tests/control/phone_on_fakes.h"

namespace conclave::control {
namespace {

using test::eventually;
using test::failure;
using Json = nlohmann::json;

class ActivationTest : public test::PhoneOnFakes {
 protected:
  bool activation_is(const std::string& state) {
    return eventually([&] { return tree("activation").at("state") == state; });
  }
  int count(const std::string& what) {
    int n = 0;
    on_loop([&] { n = service_->count(what); });
    return n;
  }
};

TEST_F(ActivationTest, F124_a_pin_gives_a_token_that_each_login_shows) {
  EXPECT_EQ(tree("activation").at("state"), "not activated");
  EXPECT_EQ(ask("activation.activate", {{"pin", "2468"}})["result"]["state"], "activating");
  ASSERT_TRUE(activation_is("activated"));
  EXPECT_EQ(count("activate 2468"), 1);
  EXPECT_EQ(settings_.get_text(Key::kDvmsAuthToken), "act-1");
  EXPECT_EQ(settings_.get_text(Key::kDvmsActivationState), "activated");
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  phone_->loop().run([&] { EXPECT_EQ(service_->activation_seen, "act-1"); });
  // The token is nobody's business.
  const std::string everything = phone_->state().snapshot()->state.dump() +
                                 ask("settings.list").dump() + ask("settings.export").dump();
  EXPECT_EQ(everything.find("act-1"), std::string::npos);
}

TEST_F(ActivationTest, a_service_that_does_not_ask_for_it_is_joined_without) {
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  EXPECT_EQ(tree("activation").at("state"), "not activated");
}

TEST_F(ActivationTest, all_answers_show_their_entry_of_the_catalogue) {
  for (const char* id : {"ACT-400", "ACT-401", "ACT-404", "ACT-410", "ACT-412", "ACT-500"}) {
    phone_->loop().run([&] { service_->activate_fails = failure(id, true); });
    ask("activation.activate", {{"pin", "1111"}});
    EXPECT_TRUE(eventually([&] {
      const Json now = tree("activation");
      return now.contains("error") && now["error"]["id"] == id;
    })) << id;
    EXPECT_EQ(tree("activation").at("state"), "not activated");
    EXPECT_EQ(ask("activation.status")["result"]["error"]["id"], id);
  }
  const Json english = tree("activation")["error"]["message"];
  ASSERT_TRUE(settings_.apply(Layer::kLocal, {{"Device.Language", "de"}}).ok());
  EXPECT_TRUE(eventually([&] { return tree("activation")["error"]["message"] != english; }));
  phone_->loop().run([&] { service_->activate_fails = failure("ACT-423", true); });
  ask("activation.activate", {{"pin", "1111"}});
  EXPECT_TRUE(activation_is("disabled by provider"));
  EXPECT_EQ(tree("activation")["error"]["id"], "ACT-423");
}

TEST_F(ActivationTest, pins_with_anything_in_them_are_refused_here) {
  EXPECT_EQ(ask("activation.activate", {{"pin", ""}})["error"]["data"]["id"], "ACT-400");
  for (const std::string& pin :
       {std::string(" "), std::string("12 34"), std::string("1\n2"), std::string("\"};{"),
        std::string(33, '1'), std::string(100'000, '9'), std::string("12\xC3\xA9"),
        std::string("1\0002", 3), std::string("../../etc")}) {
    EXPECT_EQ(ask("activation.activate", {{"pin", pin}})["error"]["data"]["id"], "ACT-401") << pin;
    EXPECT_EQ(tree("activation")["error"]["id"], "ACT-401");
  }
  EXPECT_EQ(ask("activation.activate", {{"pin", 1234}})["error"]["code"], kRpcInvalidParams);
  EXPECT_EQ(ask("activation.activate")["error"]["code"], kRpcInvalidParams);
  phone_->loop().run([&] { EXPECT_TRUE(service_->asked.empty()); });
}

TEST_F(ActivationTest, a_pin_that_comes_in_a_setting_activates_by_itself) {
  ASSERT_TRUE(settings_.apply(Layer::kProvider, {{"Dvms.Activation.Pin", "8642"}}).ok());
  ASSERT_TRUE(activation_is("activated"));
  EXPECT_EQ(count("activate 8642"), 1);
  // Neither the same file once more nor a restart activates again.
  ASSERT_TRUE(settings_.apply(Layer::kProvider, {{"Dvms.Activation.Pin", "8642"}}).ok());
  phone_->stop();
  start();
  ask("ping");
  EXPECT_EQ(count("activate 8642"), 0);
  EXPECT_EQ(tree("activation").at("state"), "activated");
}

TEST_F(ActivationTest, a_pin_from_a_setting_is_tried_again_while_the_service_is_away) {
  phone_->loop().run([&] { service_->activate_fails = failure("NET-950", false); });
  ASSERT_TRUE(settings_.apply(Layer::kProvider, {{"Dvms.Activation.Pin", "8642"}}).ok());
  ASSERT_TRUE(eventually([&] { return tree("activation").contains("attempt"); }));
  EXPECT_EQ(tree("activation")["error"]["id"], "NET-950");
  phone_->loop().run([&] { service_->activate_fails.reset(); });
  ASSERT_TRUE(activation_is("activated"));
  EXPECT_FALSE(tree("activation").contains("error"));
}

TEST_F(ActivationTest, F92_F93_F94_deactivation_forgets_the_token_and_refuses_passcodes) {
  ask("activation.activate", {{"pin", "2468"}});
  ASSERT_TRUE(activation_is("activated"));
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("active"));
  EXPECT_EQ(ask("activation.deactivate")["error"]["code"], kRpcInvalidParams);
  EXPECT_EQ(ask("activation.deactivate", {{"confirm", false}})["error"]["code"], kRpcInvalidParams);
  EXPECT_EQ(tree("activation").at("state"), "activated");

  ASSERT_TRUE(ask("activation.deactivate", {{"confirm", true}}).contains("result"));
  ASSERT_TRUE(activation_is("deactivated"));
  EXPECT_EQ(settings_.get_text(Key::kDvmsAuthToken), "");
  EXPECT_EQ(count("deactivate act-1"), 1);
  ASSERT_TRUE(call_is("idle"));
  EXPECT_TRUE(eventually([&] { return calls_.alive == 0; }));
  for (const char* passcode : {"246810", "135790"}) {
    const Json refused = ask("call.join", {{"passcode", passcode}});
    EXPECT_EQ(refused["error"]["data"]["id"], "JOIN-978");
  }
  EXPECT_EQ(count("join 246810"), 1);

  // A restart changes nothing, a new activation does.
  phone_->stop();
  start();
  EXPECT_EQ(ask("call.join", {{"passcode", "246810"}})["error"]["data"]["id"], "JOIN-978");
  ask("activation.activate", {{"pin", "2468"}});
  ASSERT_TRUE(activation_is("activated"));
  ask("call.join", {{"passcode", "246810"}});
  EXPECT_TRUE(call_is("active"));
}

TEST_F(ActivationTest, F93_the_shell_command_works_without_a_service_too) {
  phone_->loop().run([&] { service_->deactivate_fails = failure("NET-950", false); });
  ask("activation.activate", {{"pin", "2468"}});
  ASSERT_TRUE(activation_is("activated"));
  ASSERT_TRUE(ask("deactivateBTService").contains("result"));
  ASSERT_TRUE(activation_is("deactivated"));
  EXPECT_EQ(tree("activation")["error"]["id"], "NET-950");
  EXPECT_EQ(settings_.get_text(Key::kDvmsAuthToken), "");
}

TEST_F(ActivationTest, F123_the_services_word_ends_an_activation) {
  ask("activation.activate", {{"pin", "2468"}});
  ASSERT_TRUE(activation_is("activated"));
  phone_->loop().run([&] { service_->login_fails = failure("ACT-DISABLED", true); });
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(activation_is("disabled by provider"));
  EXPECT_EQ(tree("call")["error"]["id"], "ACT-DISABLED");
  EXPECT_EQ(tree("activation")["error"]["id"], "ACT-DISABLED");
  EXPECT_EQ(settings_.get_text(Key::kDvmsAuthToken), "");
}

TEST_F(ActivationTest, a_phone_that_joins_by_itself_does_so_once_activated) {
  phone_->loop().run([&] { service_->login_fails = failure("JOIN-978", true); });
  ASSERT_TRUE(settings_
                  .apply(Layer::kLocal, {{"Conference.AutoJoin.Enabled", true},
                                         {"Conference.AutoJoin.Passcode", "246810"}})
                  .ok());
  ask("call.join", {{"passcode", "246810"}});
  ASSERT_TRUE(call_is("failed"));
  phone_->loop().run([&] { service_->login_fails.reset(); });
  ask("activation.activate", {{"pin", "2468"}});
  EXPECT_TRUE(call_is("active"));
}

TEST_F(ActivationTest, a_reset_needs_a_program_that_can_start_anew) {
  EXPECT_TRUE(ask("phone.factory_reset", {{"confirm", true}}).contains("error"));
  EXPECT_FALSE(*finish_factory_reset(folder_.path()));
}

TEST(FactoryReset, F95_F96_what_was_interrupted_is_done_again_and_the_ca_stays) {
  namespace fs = std::filesystem;
  const conclave::test::TempFolder folder;
  const auto put = [&](const std::string& name) {
    fs::create_directories(fs::path(folder.path(name)).parent_path());
    std::ofstream(folder.path(name)) << "secret";
  };
  put("settings.conclave");
  put("a/b/ca.pem");
  put("a/b/key.pem");
  put("a/c/recording.wav");
  ASSERT_TRUE(order_factory_reset(folder.path(), folder.path("a/b/ca.pem")).ok());
  // As if the power had gone after the first files: what is left goes now.
  fs::remove(folder.path("settings.conclave"));
  EXPECT_TRUE(*finish_factory_reset(folder.path()));
  EXPECT_TRUE(fs::exists(folder.path("a/b/ca.pem")));
  EXPECT_FALSE(fs::exists(folder.path("a/b/key.pem")));
  EXPECT_FALSE(fs::exists(folder.path("a/c")));
  Registry settings(std::make_unique<Store>(folder.path("settings.conclave")));
  EXPECT_EQ(settings.load(), "");
  EXPECT_EQ(settings.get_text(Key::kSecurityCertificatesServiceCa), folder.path("a/b/ca.pem"));
  EXPECT_FALSE(*finish_factory_reset(folder.path())) << "once is enough";
  EXPECT_TRUE(fs::exists(folder.path("settings.conclave")));
}

}  // namespace
}  // namespace conclave::control
