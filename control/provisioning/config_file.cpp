// SPDX-License-Identifier: Apache-2.0
#include "control/provisioning/config_file.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "control/provisioning/config_signature.h"

namespace conclave::control {
namespace {

constexpr std::size_t kMaxProblems = 100;
constexpr std::string_view kFirstLine = "conclave-configuration 1";

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

/// Takes the first word off `text`, with the blanks behind it.
std::string_view take_word(std::string_view& text) {
  const auto end = std::min(text.find_first_of(" \t"), text.size());
  const std::string_view word = text.substr(0, end);
  text = trimmed(text.substr(end));
  return word;
}

bool is_utf8_text(std::string_view text) {
  // A byte that is no text in a JSON string cannot be written; the library knows all the rules.
  if (text.find('\0') != std::string_view::npos) return false;
  try {
    (void)nlohmann::json(std::string(text)).dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

class Parser {
 public:
  Parser(const ConfigRules& rules, ParsedConfiguration& out) : rules_(&rules), out_(&out) {}

  void file(std::string_view text, const std::string& name, int depth);

 private:
  /// What one file adds; appended behind what it includes.
  struct File {
    std::string name;
    int depth;
    int line = 0;
    std::map<Layer, std::map<std::string, int>> seen;  // name in lower case -> line
    std::optional<Layer> layer;
    std::array<std::vector<ConfigEntry>, kLayerCount> entries;
  };

  void problem(const File& file, std::string why, std::string name = {}) {
    if (out_->problems.size() < kMaxProblems) {
      out_->problems.push_back({file.name, file.line, std::move(name), std::move(why)});
    }
  }
  void line(File& file, std::string_view text);
  void directive(File& file, std::string_view word, std::string_view rest);
  void section(File& file, std::string_view text);
  void entry(File& file, std::string_view text, bool lock, bool unset);
  void include(File& file, std::string_view name);

  const ConfigRules* rules_;
  ParsedConfiguration* out_;
  std::vector<std::string> open_;  // files being read, outermost first
  int files_ = 0;
};

void Parser::file(std::string_view text, const std::string& name, int depth) {
  File file{name, depth, 0, {}, {}, {}};
  if (text.size() > kMaxConfigBytes) {
    return problem(file, "the file is larger than 1 MiB");
  }
  if (!is_utf8_text(text)) return problem(file, "the file is not UTF-8 text");
  if (!rules_->signing_key.empty()) {
    if (const Status good = check_signature(text, rules_->signing_key); !good) {
      return problem(file, good.error().message);
    }
  }
  ++files_;
  open_.push_back(name);
  bool begun = false;
  const bool whole = text.empty() || text.back() == '\n';
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view now = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++file.line;
    if (!now.empty() && now.back() == '\r') now.remove_suffix(1);
    if (now.size() > kMaxConfigLine) {
      problem(file, "the line is longer than 8192 bytes");
      continue;
    }
    now = trimmed(now);
    if (now.empty() || now.front() == '#') continue;
    if (!begun) {
      if (now != kFirstLine) {
        problem(file, "the first line must be '" + std::string(kFirstLine) + "'");
        open_.pop_back();
        return;
      }
      begun = true;
      continue;
    }
    line(file, now);
  }
  if (!begun) problem(file, "the file is empty");
  // What was cut off in mid line may still be a value, only another one.
  if (begun && !whole) problem(file, "the last line has no end; the file may be cut off");
  for (std::size_t i = 0; i < kLayerCount; ++i) {
    auto& to = out_->configuration.sections[i];
    std::move(file.entries[i].begin(), file.entries[i].end(), std::back_inserter(to));
  }
  open_.pop_back();
}

void Parser::line(File& file, std::string_view text) {
  if (text.front() == '[') return section(file, text);
  std::string_view rest = text;
  const std::string_view word = take_word(rest);
  if (word == "lock" && rest.find('=') != std::string_view::npos && rest.front() != '=') {
    return entry(file, rest, true, false);
  }
  if (word == "unset" && !rest.empty() && rest.front() != '=') {
    return entry(file, rest, false, true);
  }
  if (text.find('=') != std::string_view::npos && word != "signature") {
    return entry(file, text, false, false);
  }
  directive(file, word, rest);
}

void Parser::directive(File& file, std::string_view word, std::string_view rest) {
  Configuration& c = out_->configuration;
  if (word == "revision") {
    std::uint64_t value = 0;
    const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (ec != std::errc{} || end != rest.data() + rest.size() || value == 0) {
      return problem(file, "revision takes a whole number from 1");
    }
    if (file.depth == 0) c.revision = value;
  } else if (word == "absent") {
    if (rest != "default" && rest != "keep") {
      return problem(file, "absent takes 'default' or 'keep'");
    }
    if (file.depth == 0) c.absent_means_default = rest == "default";
  } else if (word == "include") {
    include(file, rest);
  } else if (word != "signature") {
    problem(file, "'" + std::string(word.substr(0, 64)) +
                      "' is no line of a configuration; a value is written NAME = VALUE");
  }
}

void Parser::section(File& file, std::string_view text) {
  file.layer.reset();
  const auto layer =
      text.back() == ']' ? parse_layer(trimmed(text.substr(1, text.size() - 2))) : std::nullopt;
  if (!layer || *layer == Layer::kFactory) {
    return problem(file, "a section is [provider], [site] or [device]");
  }
  if (*layer == Layer::kLocal && !rules_->local) {
    return problem(file, "[local] is for what is set on the phone, not for a configuration file");
  }
  file.layer = layer;
  out_->configuration.present[static_cast<std::size_t>(*layer)] = true;
}

void Parser::entry(File& file, std::string_view text, bool lock, bool unset) {
  const auto equals = unset ? text.size() : text.find('=');
  const std::string name(trimmed(text.substr(0, equals)));
  if (name.empty() || name.size() > 128) return problem(file, "there is no name before the '='");
  if (!file.layer) return problem(file, "there is no section above, such as [site]", name);
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (const auto [at, fresh] = file.seen[*file.layer].emplace(lower, file.line); !fresh) {
    return problem(file, "stands twice, first in line " + std::to_string(at->second), name);
  }
  ConfigEntry made{name, std::nullopt, lock, file.name, file.line};
  if (!unset) {
    const std::string_view value = trimmed(text.substr(equals + 1));
    if (!value.empty() && value.front() == '"') {
      const auto json = nlohmann::json::parse(value, nullptr, false);
      if (!json.is_string()) {
        return problem(file, "the quoted value does not end as it should", name);
      }
      made.value = json.get<std::string>();
    } else {
      made.value = std::string(value);
    }
  }
  file.entries[static_cast<std::size_t>(*file.layer)].push_back(std::move(made));
}

void Parser::include(File& file, std::string_view name) {
  const std::string wanted(name);
  if (wanted.empty() || wanted.size() > 1024) return problem(file, "include takes a file's name");
  if (!rules_->include) return problem(file, "an include is not possible here");
  if (std::find(open_.begin(), open_.end(), wanted) != open_.end()) {
    return problem(file, wanted + " includes itself");
  }
  if (file.depth + 1 >= kMaxConfigDepth || files_ >= kMaxConfigFiles) {
    return problem(file, "too many includes: 8 deep and 32 files are the most");
  }
  const auto text = rules_->include(wanted);
  if (!text) return problem(file, wanted + ": " + text.error().message);
  this->file(*text, wanted, file.depth + 1);
}

}  // namespace

std::string to_text(const ConfigProblem& problem) {
  std::string text = problem.file;
  if (problem.line > 0) text += ":" + std::to_string(problem.line);
  text += ": ";
  if (!problem.name.empty()) text += problem.name + ": ";
  return text + problem.why;
}

ParsedConfiguration parse_configuration(std::string_view text, const std::string& name,
                                        const ConfigRules& rules) {
  ParsedConfiguration out;
  Parser(rules, out).file(text, name, 0);
  return out;
}

}  // namespace conclave::control
