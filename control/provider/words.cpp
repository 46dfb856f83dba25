// SPDX-License-Identifier: Apache-2.0
#include "control/provider/words.h"

#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

namespace conclave::control {
namespace {

using Words = std::map<std::string, std::string, std::less<>>;
using Json = nlohmann::json;

#include "control/provider/built_in.inc"

std::string text_in(const Json& object, const char* group, const char* key) {
  if (!object.is_object() || !object.contains(group) || !object[group].is_object()) return {};
  const auto at = object[group].find(key);
  return at != object[group].end() && at->is_string() ? at->get<std::string>() : std::string();
}

Words words_of(const Json& profile) {
  const auto first = [](std::initializer_list<std::string> candidates) {
    for (const auto& candidate : candidates) {
      if (!candidate.empty()) return candidate;
    }
    return std::string();
  };
  const bool named = profile.is_object() && profile.contains("name") && profile["name"].is_string();
  Words words;
  words["provider"] =
      first({text_in(profile, "texts", "provider"),
             named ? profile["name"].get<std::string>() : std::string(), "service provider's"});
  words["phone"] = first({text_in(profile, "texts", "phone"), "phone"});
  words["settings_section"] =
      first({text_in(profile, "texts", "settings_section"), "Conferencing Service"});
  words["service_address"] =
      first({text_in(profile, "addresses", "call_control"),
             text_in(profile, "settings", "Dvms.Server.Address"), "as the provider has told"});
  return words;
}

struct Shared {
  std::mutex mutex;
  std::shared_ptr<const Words> words =
      std::make_shared<const Words>(words_of(Json::parse(kBuiltIn, nullptr, false)));
};
Shared& shared() {
  static Shared the;
  return the;
}

}  // namespace

void set_provider_words(const Json& profile) {
  auto words = std::make_shared<const Words>(words_of(profile));
  const std::lock_guard lock(shared().mutex);
  shared().words = std::move(words);
}

std::string with_provider_words(std::string_view text) {
  std::string out;
  std::shared_ptr<const Words> words;
  for (std::size_t at; (at = text.find('{')) != std::string_view::npos;) {
    const auto end = text.find('}', at);
    if (end == std::string_view::npos) break;
    if (!words) {
      const std::lock_guard lock(shared().mutex);
      words = shared().words;
    }
    out += text.substr(0, at);
    const auto found = words->find(text.substr(at + 1, end - at - 1));
    out += found != words->end() ? std::string_view(found->second) : text.substr(at, end + 1 - at);
    text.remove_prefix(end + 1);
  }
  return out += text;
}

}  // namespace conclave::control
