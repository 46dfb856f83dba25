// SPDX-License-Identifier: Apache-2.0
#include "control/errors/catalogue.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "control/provider/words.h"

namespace conclave::control {
namespace {

#include "control/errors/catalogue_table.inc"

constexpr std::string_view kTags[kLanguageCount] = {"en", "de", "fr", "es"};

/// The message without the place it has for a text: that is filled in, or left away.
std::string_view bare_message(const ErrorRow& row, Language language) {
  const std::string_view message = text_of(row, language).message;
  return row.id == "NET-TEXT" ? message.substr(0, message.find(" (")) : message;
}

std::string message_in(const Error& error, const ErrorRow& row, Language language) {
  const std::string whole = with_provider_words(text_of(row, language).message);
  if (error.message.empty()) return whole;
  if (language == Language::kEnglish || error.id != row.id) return error.message;
  const std::string english = with_provider_words(bare_message(row, Language::kEnglish));
  const std::string own = with_provider_words(bare_message(row, language));
  const std::string_view said = error.message;
  if (said == with_provider_words(row.message)) return whole;
  if (said == english) return own;
  if (said.starts_with(english) && said.substr(english.size()).starts_with(" (")) {
    return own + error.message.substr(english.size());
  }
  return own + " (" + error.message + ")";
}

}  // namespace

std::string_view tag_of(Language language) { return kTags[static_cast<std::size_t>(language)]; }

std::optional<Language> find_language(std::string_view tag) {
  const std::string_view first = tag.substr(0, tag.find_first_of("-_"));
  for (int i = 0; i < kLanguageCount; ++i) {
    const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; };
    if (std::equal(first.begin(), first.end(), kTags[i].begin(), kTags[i].end(), same)) {
      return static_cast<Language>(i);
    }
  }
  return std::nullopt;
}

Language parse_language(std::string_view tag) {
  return find_language(tag).value_or(Language::kEnglish);
}

std::span<const ErrorRow> errors_catalogue() { return kRows; }

const ErrorRow* find_error(std::string_view id) {
  const auto* found = std::find_if(std::begin(kRows), std::end(kRows),
                                   [id](const ErrorRow& row) { return row.id == id; });
  return found == std::end(kRows) ? nullptr : found;
}

ErrorText text_of(const ErrorRow& row, Language language) {
  if (language == Language::kEnglish) return {row.message, row.cause, row.remedy, row.who};
  return row.translated[static_cast<std::size_t>(language) - 1];
}

ErrorText labels_in(Language language) { return kLabels[static_cast<std::size_t>(language)]; }

nlohmann::json errors_json(Language language) {
  nlohmann::json rows = nlohmann::json::array();
  for (const ErrorRow& row : errors_catalogue()) {
    const ErrorText text = text_of(row, language);
    nlohmann::json item{{"id", row.id},
                        {"stage", row.stage},
                        {"language", tag_of(language)},
                        {"message", with_provider_words(text.message)},
                        {"cause", with_provider_words(text.cause)},
                        {"remedy", with_provider_words(text.remedy)},
                        {"who", text.who},
                        {"retryable", row.retryable}};
    if (row.code != 0) item["code"] = row.code;
    item["settings"] = nlohmann::json::array();
    for (const std::string_view name : row.settings) item["settings"].push_back(name);
    rows.push_back(std::move(item));
  }
  return rows;
}

nlohmann::json error_json(const Error& error, Language language) {
  nlohmann::json out = nlohmann::json::object();
  const ErrorRow* row = find_error(error.id);
  if (row == nullptr && !error.id.empty()) row = find_error("OTHER");
  out["id"] = error.id;
  out["message"] = error.message;
  if (row == nullptr) return out;
  const ErrorText text = text_of(*row, language);
  out["message"] = message_in(error, *row, language);
  out["cause"] = with_provider_words(text.cause);
  out["remedy"] = with_provider_words(text.remedy);
  out["who"] = text.who;
  out["stage"] = row->stage;
  if (row->code != 0) out["code"] = row->code;
  return out;
}

Error catalogue_error(std::string_view id, std::string_view detail) {
  const ErrorRow* row = find_error(id);
  std::string message = with_provider_words(
      bare_message(row != nullptr ? *row : *find_error("OTHER"), Language::kEnglish));
  if (!detail.empty()) message += " (" + std::string(detail) + ")";
  return Error{std::move(message), std::string(id)};
}

}  // namespace conclave::control
