// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/errors_command.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/conclave/command_result.h"
#include "control/errors/catalogue.h"
#include "control/provider/words.h"

namespace conclave::apps {
namespace {

using control::ErrorRow;
using control::Language;

struct ErrorsOptions {
  std::string language = "en";
  std::string id;
  bool json = false;
};

/// The language asked for; where there is none of that name, English, and a word about it.
Language language_of(const ErrorsOptions& options) {
  const auto language = control::find_language(options.language);
  if (!language) {
    std::fprintf(stderr, "conclave: there are no messages in '%s', only in en, de, fr and es\n",
                 options.language.c_str());
  }
  return language.value_or(Language::kEnglish);
}

std::string lower_first(std::string_view label) {
  std::string out(label);
  if (!out.empty() && out[0] >= 'A' && out[0] <= 'Z') out[0] = static_cast<char>(out[0] + 32);
  return out;
}

std::size_t letters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

void print_row(const ErrorRow& row, Language language) {
  const control::ErrorText labels = control::labels_in(language);
  const control::ErrorText texts = control::text_of(row, language);
  std::size_t width = 0;
  for (const auto label : {labels.message, labels.cause, labels.remedy, labels.who}) {
    width = std::max(width, letters(label));
  }
  const auto line = [&](std::string_view label, std::string_view words) {
    const std::string text = control::with_provider_words(words);
    // German nouns keep their capitals.
    const std::string word =
        language == Language::kGerman ? std::string(label) : lower_first(label);
    const std::string gap(width + 1 - letters(word), ' ');
    std::printf("  %s%s%s\n", word.c_str(), gap.c_str(), text.c_str());
  };
  std::printf("%.*s\n", static_cast<int>(row.id.size()), row.id.data());
  line(labels.message, texts.message);
  line(labels.cause, texts.cause);
  line(labels.remedy, texts.remedy);
  line(labels.who, texts.who);
}

}  // namespace

void add_errors_command(CLI::App& app, int& exit_code) {
  auto* errors = app.add_subcommand("errors", "The error catalogue");
  errors->require_subcommand(1);
  auto options = std::make_shared<ErrorsOptions>();
  auto* list = errors->add_subcommand("list", "All messages with cause and remedy");
  list->add_flag("--json", options->json, "As JSON");
  list->add_option("--language", options->language, "en, de, fr or es");
  list->callback([options, &exit_code] {
    const Language language = language_of(*options);
    if (options->json) {
      std::printf("%s\n", control::errors_json(language).dump(1).c_str());
    } else {
      for (const ErrorRow& row : control::errors_catalogue()) print_row(row, language);
    }
    exit_code = kExitOk;
  });

  auto* show = errors->add_subcommand("show", "One message: what it means and what to do");
  show->add_option("id", options->id, "Id, such as NET-953, or the code alone")->required();
  show->add_option("--language", options->language, "en, de, fr or es");
  show->callback([options, &exit_code] {
    const Language language = language_of(*options);
    bool found = false;
    for (const ErrorRow& row : control::errors_catalogue()) {
      if (row.id != options->id && (row.code == 0 || std::to_string(row.code) != options->id)) {
        continue;
      }
      print_row(row, language);
      found = true;
    }
    exit_code =
        found ? kExitOk
              : report(Error{"there is no message " + options->id + "; see conclave errors list"});
  });
}

}  // namespace conclave::apps
