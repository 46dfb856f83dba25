// SPDX-License-Identifier: Apache-2.0
#include <curl/curl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>

#include "control/conference/service_api.h"
#include "control/errors/catalogue.h"
#include "control/errors/classify.h"
#include "control/settings/catalogue.h"

namespace conclave::control {
namespace {

std::string id_of(int curl, long os_errno = 0, bool connected = false) {
  TransferFailure f;
  f.curl_code = curl;
  f.os_errno = os_errno;
  f.connected = connected;
  f.detail = "words";
  return classify_transfer(f).id;
}

TEST(Errors, F127_each_message_has_one_cause_and_one_remedy) {
  EXPECT_EQ(errors_catalogue().size(), 54U);
  std::set<std::string_view> ids;
  for (const ErrorRow& row : errors_catalogue()) {
    EXPECT_TRUE(ids.insert(row.id).second) << row.id;
    EXPECT_FALSE(row.message.empty()) << row.id;
    EXPECT_GT(row.remedy.size(), 10U) << row.id;
    EXPECT_FALSE(row.cause.empty()) << row.id;
    EXPECT_FALSE(row.who.empty()) << row.id;
    for (const auto name : row.settings) EXPECT_NE(find_setting(name), nullptr) << name;
  }
}

TEST(Errors, F128_messages_fall_into_the_stages_of_the_guide) {
  const std::set<std::string_view> stages = {"activation", "join",  "call control",
                                             "network",    "proxy", "TLS"};
  std::set<std::string_view> seen;
  for (const ErrorRow& row : errors_catalogue()) seen.insert(row.stage);
  EXPECT_EQ(seen, stages);
}

TEST(Errors, F135_code_ranges_tell_network_proxy_and_service_apart) {
  for (const ErrorRow& row : errors_catalogue()) {
    if (row.code >= 950 && row.code <= 957) {
      EXPECT_TRUE(row.stage == "network" || row.stage == "TLS") << row.id;
    } else if (row.code >= 958 && row.code <= 963) {
      EXPECT_EQ(row.stage, "proxy") << row.id;
    } else if (row.code >= 974 && row.code <= 984) {
      EXPECT_EQ(row.stage, "join") << row.id;
    }
  }
  // Any other code goes to the service's support.
  const auto other = error_json(Error{"Code 999", "JOIN-999"});
  EXPECT_EQ(other["remedy"], "Contact the service.");
}

TEST(Errors, the_same_http_code_is_two_messages) {
  ASSERT_NE(find_error("CC-404"), nullptr);
  ASSERT_NE(find_error("ACT-404"), nullptr);
  EXPECT_NE(find_error("CC-404")->message, find_error("ACT-404")->message);
}

TEST(Errors, F133_unable_to_find_meeting_names_passcode_email_and_token) {
  const ErrorRow* row = find_error("JOIN-UNABLE");
  ASSERT_NE(row, nullptr);
  EXPECT_NE(row->cause.find("passcode"), std::string_view::npos);
  EXPECT_NE(row->cause.find("e-mail"), std::string_view::npos);
  EXPECT_NE(row->cause.find("token"), std::string_view::npos);
}

constexpr Language kTranslated[] = {Language::kGerman, Language::kFrench, Language::kSpanish};

TEST(Languages, every_message_is_there_in_every_language) {
  for (const Language language : kTranslated) {
    for (const ErrorRow& row : errors_catalogue()) {
      const ErrorText text = text_of(row, language);
      const ErrorText english = text_of(row, Language::kEnglish);
      for (const auto part :
           {&ErrorText::message, &ErrorText::cause, &ErrorText::remedy, &ErrorText::who}) {
        EXPECT_FALSE((text.*part).empty()) << row.id << " " << tag_of(language);
        EXPECT_NE(text.*part, english.*part) << row.id << " " << tag_of(language);
      }
      // A code that the guide prints is printed in every language.
      const std::string code = std::to_string(row.code);
      if (english.message.find(code) != std::string_view::npos) {
        EXPECT_NE(text.message.find(code), std::string_view::npos) << row.id;
      }
    }
  }
}

TEST(Languages, tags_are_found_by_their_first_part_and_others_get_english) {
  EXPECT_EQ(find_language("de"), Language::kGerman);
  EXPECT_EQ(find_language("DE-at"), Language::kGerman);
  EXPECT_EQ(find_language("fr_CA"), Language::kFrench);
  EXPECT_EQ(find_language("es-419"), Language::kSpanish);
  for (const char* tag : {"", "-", "xx", "d", "deu", "dé", "../de"}) {
    EXPECT_EQ(find_language(tag), std::nullopt) << tag;
    EXPECT_EQ(parse_language(tag), Language::kEnglish) << tag;
  }
  for (int i = 0; i < kLanguageCount; ++i) {
    const auto language = static_cast<Language>(i);
    EXPECT_EQ(find_language(tag_of(language)), language);
  }
}

TEST(Languages, the_setting_knows_the_same_languages) {
  const SettingRow* row = find_setting("Device.Language");
  ASSERT_NE(row, nullptr);
  ASSERT_EQ(row->values.size(), std::size_t{kLanguageCount});
  for (int i = 0; i < kLanguageCount; ++i) {
    EXPECT_EQ(row->values[static_cast<std::size_t>(i)], tag_of(static_cast<Language>(i)));
  }
}

TEST(Languages, letters_come_through_json_whole) {
  const auto rows = nlohmann::json::parse(errors_json(Language::kGerman).dump());
  const auto proxy = std::find_if(rows.begin(), rows.end(),
                                  [](const auto& row) { return row["id"] == "PROXY-962"; });
  ASSERT_NE(proxy, rows.end());
  EXPECT_EQ((*proxy)["remedy"],
            "Pr\u00fcfen Sie die Einstellungen f\u00fcr Benutzername und Kennwort des Proxys.");
  EXPECT_EQ((*proxy)["language"], "de");
  EXPECT_EQ((*proxy)["stage"], "proxy") << "what programs go by stays";
}

TEST(Languages, F137_a_detail_is_kept_and_other_words_stand_in_brackets) {
  const auto in = [](const Error& error) {
    return error_json(error, Language::kGerman)["message"].get<std::string>();
  };
  EXPECT_EQ(in(catalogue_error("NET-953")), "Der Server kann nicht gefunden werden.");
  EXPECT_EQ(in(catalogue_error("NET-TEXT", "strange bytes")),
            "Unbekannter Netzwerkfehler (strange bytes)");
  EXPECT_EQ(in(Error{"Room is closed", "NET-953"}),
            "Der Server kann nicht gefunden werden. (Room is closed)");
  EXPECT_EQ(in(Error{"", "NET-953"}), "Der Server kann nicht gefunden werden.");
  EXPECT_EQ(in(Error{"Code 999", "JOIN-999"}), "Code 999");
  EXPECT_EQ(in(Error{"without an id", ""}), "without an id");
}

TEST(Classify, F121_F135_network_failures_have_the_codes_950_to_957) {
  EXPECT_EQ(id_of(CURLE_COULDNT_CONNECT, ECONNREFUSED), "NET-950");
  EXPECT_EQ(id_of(CURLE_GOT_NOTHING), "NET-951");
  EXPECT_EQ(id_of(CURLE_RECV_ERROR, ECONNRESET), "NET-951");
  EXPECT_EQ(id_of(CURLE_OPERATION_TIMEDOUT, 0, false), "NET-952");
  EXPECT_EQ(id_of(CURLE_COULDNT_CONNECT, ETIMEDOUT), "NET-952");
  EXPECT_EQ(id_of(CURLE_COULDNT_RESOLVE_HOST), "NET-953");
  EXPECT_EQ(id_of(CURLE_OPERATION_TIMEDOUT, 0, true), "NET-954");
  EXPECT_EQ(id_of(CURLE_SSL_CONNECT_ERROR), "TLS-955");
  EXPECT_EQ(id_of(CURLE_PEER_FAILED_VERIFICATION), "TLS-955");
  EXPECT_EQ(id_of(CURLE_COULDNT_CONNECT, ENETUNREACH), "NET-956");
  EXPECT_EQ(id_of(CURLE_COULDNT_CONNECT, EHOSTUNREACH), "NET-956");
  EXPECT_EQ(id_of(CURLE_BAD_CONTENT_ENCODING), "NET-957");
  EXPECT_EQ(id_of(CURLE_TOO_MANY_REDIRECTS), "JOIN-982");
}

TEST(Classify, F136_proxy_failures_have_the_codes_958_to_963) {
  const auto proxy = [](int curl, long os_errno, long code) {
    TransferFailure f;
    f.curl_code = curl;
    f.os_errno = os_errno;
    f.via_proxy = f.proxy_step = true;
    f.connect_code = code;
    return classify_transfer(f).id;
  };
  EXPECT_EQ(proxy(CURLE_COULDNT_CONNECT, ECONNREFUSED, 0), "PROXY-958");
  EXPECT_EQ(proxy(CURLE_RECV_ERROR, 0, 0), "PROXY-959");
  EXPECT_EQ(proxy(CURLE_COULDNT_RESOLVE_PROXY, 0, 0), "PROXY-960");
  EXPECT_EQ(proxy(CURLE_OPERATION_TIMEDOUT, 0, 0), "PROXY-961");
  EXPECT_EQ(proxy(CURLE_RECV_ERROR, 0, 407), "PROXY-962");
  EXPECT_EQ(proxy(CURLE_RECV_ERROR, 0, 503), "PROXY-963");
}

TEST(Classify, F137_an_unclassified_failure_carries_its_text) {
  TransferFailure f;
  f.curl_code = CURLE_BAD_CONTENT_ENCODING;
  f.detail = "strange bytes";
  EXPECT_NE(classify_transfer(f).message.find("strange bytes"), std::string::npos);
}

TEST(Classify, F121_sip_failures_are_903_and_certificates_955) {
  EXPECT_EQ(classify_sip(503, "Service Unavailable", "").id, "SIG-903");
  EXPECT_EQ(classify_sip(408, "Request Timeout", "").id, "SIG-903");
  EXPECT_EQ(classify_sip(503, "", "certificate is not trusted").id, "TLS-955");
  EXPECT_EQ(classify_sip(404, "Not Found", "").id, "JOIN-NOTFOUND");
}

TEST(Classify, an_answer_with_an_id_is_taken_at_its_word) {
  RestResponse answer;
  answer.status = 404;
  answer.body = R"({"error":{"id":"JOIN-NOTFOUND","message":"Meeting not found.",)"
                R"("detail":{"id":"JOIN-981","message":"not with this phone"}}})";
  const auto failure = failure_of(answer, "JOIN-984");
  EXPECT_EQ(failure.error.id, "JOIN-NOTFOUND");
  EXPECT_FALSE(failure.retryable);
  ASSERT_TRUE(failure.detail.has_value());
  EXPECT_EQ(failure.detail->id, "JOIN-981");
  answer.body = "<html>";
  answer.status = 503;
  EXPECT_EQ(failure_of(answer, "JOIN-984").error.id, "JOIN-UNAVAILABLE");
  EXPECT_TRUE(failure_of(answer, "JOIN-984").retryable);
  answer.status = 401;
  EXPECT_TRUE(failure_of(answer, "JOIN-984").token_rejected);
}

}  // namespace
}  // namespace conclave::control
