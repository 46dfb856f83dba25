// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"

namespace conclave::control {

/// The languages of the messages, in the order of control/errors/generate.py.
enum class Language { kEnglish, kGerman, kFrench, kSpanish };
inline constexpr int kLanguageCount = 4;
/// The BCP 47 tag: "en", "de", "fr", "es".
std::string_view tag_of(Language language);
/// By the first part of a BCP 47 tag, in any case ("de", "de-AT", "fr_CA"); empty for others.
std::optional<Language> find_language(std::string_view tag);
/// The same; English where there are no messages in that language.
Language parse_language(std::string_view tag);

/// What a message says in one language. May hold places for the provider's words
/// (control/provider/words.h), which the functions below that give JSON or an Error fill in.
struct ErrorText {
  std::string_view message, cause, remedy, who;
};

/// One row of control/errors/catalogue.json. All text is static.
struct ErrorRow {
  std::string_view id;                      ///< "NET-953"; stage and code make it unique
  int code = 0;                             ///< 0: the guide gives none
  std::string_view stage;                   ///< activation, join, call control, network, proxy, TLS
  std::string_view message, cause, remedy;  ///< English
  std::string_view who;                     ///< who can do something about it
  bool retryable = false;                   ///< the phone may try again by itself
  std::span<const std::string_view> settings;
  std::span<const std::string_view> guide;
  std::array<ErrorText, kLanguageCount - 1> translated;  ///< all but English
};

std::span<const ErrorRow> errors_catalogue();
/// Null for an id that is not there.
const ErrorRow* find_error(std::string_view id);

ErrorText text_of(const ErrorRow& row, Language language);
/// The words to print before the texts of a message.
ErrorText labels_in(Language language);

/// All rows as JSON, for errors.list and `conclave errors list --json`; ids, codes, stages and
/// setting names are the same in every language.
nlohmann::json errors_json(Language language = Language::kEnglish);

/// {id, message, cause, remedy, who, stage, code?}: what every surface shows. An Error without an
/// id keeps its message; an id that is unknown is explained by the catalogue's entry for others.
/// In another language than English the catalogue's words are exchanged and a detail in brackets is
/// kept; words that are not the catalogue's (the service's own) stand in brackets.
nlohmann::json error_json(const Error& error, Language language = Language::kEnglish);

/// An Error with the catalogue's English message; `detail` (already fit for people) is put in
/// brackets.
Error catalogue_error(std::string_view id, std::string_view detail = {});

}  // namespace conclave::control
