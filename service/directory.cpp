// SPDX-License-Identifier: Apache-2.0
#include "service/directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "service/secrets.h"

namespace conclave::service {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxFileBytes = 1024 * 1024;

constexpr const char* kDefault = R"({
  "conferences": [
    {
      "id": "project-room",
      "title": "Project room",
      "chairperson_passcode": "246810",
      "participant_passcode": "135790"
    }
  ]
}
)";

std::string text_of(const json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

bool flag_of(const json& object, const char* key, bool fallback) {
  const auto it = object.find(key);
  return it != object.end() && it->is_boolean() ? it->get<bool>() : fallback;
}

Result<ConferenceEntry> parse_conference(const json& value, std::size_t index) {
  const auto wrong = [index](const std::string& what) {
    return Error{"conferences[" + std::to_string(index) + "]: " + what};
  };
  if (!value.is_object()) return wrong("must be an object");
  ConferenceEntry out;
  out.id = text_of(value, "id");
  out.title = text_of(value, "title");
  out.chairperson_passcode = text_of(value, "chairperson_passcode");
  out.participant_passcode = text_of(value, "participant_passcode");
  out.email_required = flag_of(value, "email_required", false);
  out.self_mute = flag_of(value, "self_mute", true);
  if (!protocol::valid_identifier(out.id)) {
    return wrong("\"id\" must be letters, digits, '-', '_' or '.'");
  }
  if (out.title.empty() || !protocol::valid_text(out.title, protocol::kMaxName)) {
    return wrong("\"title\" must be a text of 1 to 128 bytes");
  }
  if (!protocol::valid_passcode(out.chairperson_passcode) ||
      !protocol::valid_passcode(out.participant_passcode)) {
    return wrong("both passcodes must be 1 to 32 digits");
  }
  if (const auto it = value.find("emails"); it != value.end()) {
    if (!it->is_array()) return wrong("\"emails\" must be an array");
    for (const auto& address : *it) {
      if (!address.is_string() || !protocol::valid_email(address.get<std::string>())) {
        return wrong("\"emails\" holds something that is no address");
      }
      out.emails.push_back(address.get<std::string>());
    }
  }
  return out;
}

}  // namespace

std::optional<Directory::Match> Directory::find_by_passcode(std::string_view passcode) const {
  std::optional<Match> found;
  // No early way out: how long it takes must not tell which entry nearly matched.
  for (const auto& conference : conferences) {
    if (same_secret(conference.chairperson_passcode, passcode)) {
      found = Match{&conference, protocol::Role::kChairperson};
    }
    if (same_secret(conference.participant_passcode, passcode)) {
      found = Match{&conference, protocol::Role::kParticipant};
    }
  }
  return found;
}

const ConferenceEntry* Directory::find(std::string_view id) const {
  const auto it = std::find_if(conferences.begin(), conferences.end(),
                               [id](const ConferenceEntry& c) { return c.id == id; });
  return it == conferences.end() ? nullptr : &*it;
}

Result<Directory> parse_directory(std::string_view text) {
  const json root = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto list = root.is_object() ? root.find("conferences") : root.end();
  if (!root.is_object() || list == root.end() || !list->is_array() || list->empty()) {
    return Error{R"(must be a JSON object with a non-empty array "conferences")"};
  }
  Directory out;
  std::set<std::string> ids;
  std::set<std::string> passcodes;
  for (std::size_t i = 0; i < list->size(); ++i) {
    CONCLAVE_TRY(auto entry, parse_conference((*list)[i], i));
    if (!ids.insert(entry.id).second) return Error{"two conferences have the id " + entry.id};
    if (!passcodes.insert(entry.chairperson_passcode).second ||
        !passcodes.insert(entry.participant_passcode).second) {
      return Error{"a passcode of " + entry.id + " is used twice; each must lead to one place"};
    }
    out.conferences.push_back(std::move(entry));
  }
  if (const auto phones = root.find("phones"); phones != root.end()) {
    if (!phones->is_object()) return Error{"\"phones\" must be an object by serial number"};
    out.open = flag_of(root, "open", false);
    for (const auto& [serial, value] : phones->items()) {
      const std::string state = text_of(value.is_object() ? value : json::object(), "state");
      if (!protocol::valid_identifier(serial) ||
          (state != "active" && state != "inactive" && state != "deactivated")) {
        return Error{
            "phones: each needs a serial number and a state active, inactive or "
            "deactivated"};
      }
      out.phones[serial] = state == "active"     ? PhoneState::kActive
                           : state == "inactive" ? PhoneState::kInactive
                                                 : PhoneState::kDeactivated;
    }
  }
  return out;
}

Result<Directory> load_or_make_directory(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in && errno == ENOENT) {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const auto size = static_cast<ssize_t>(std::strlen(kDefault));
    const bool ok = fd >= 0 && write(fd, kDefault, static_cast<std::size_t>(size)) == size;
    if (fd >= 0) close(fd);
    if (!ok) return Error{"Cannot write " + path + ": " + std::strerror(errno)};
    in.open(path, std::ios::binary);
  }
  if (!in) return Error{"Cannot read " + path + ": " + std::strerror(errno)};
  std::string text(kMaxFileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kMaxFileBytes) return Error{path + " is longer than 1 MiB"};
  auto directory = parse_directory(text);
  if (!directory) return Error{path + ": " + directory.error().message};
  return directory;
}

}  // namespace conclave::service
