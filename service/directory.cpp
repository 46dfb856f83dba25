// SPDX-License-Identifier: Apache-2.0
#include "service/directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

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

Result<ConferenceEntry> conference_of(const json& value) {
  const auto wrong = [](const std::string& what) { return Error{what}; };
  if (!value.is_object()) return wrong("must be an object");
  ConferenceEntry out;
  out.id = text_of(value, "id");
  out.title = text_of(value, "title");
  out.chairperson_passcode = text_of(value, "chairperson_passcode");
  out.participant_passcode = text_of(value, "participant_passcode");
  out.email_required = flag_of(value, "email_required", false);
  out.self_mute = flag_of(value, "self_mute", true);
  out.dial_out = flag_of(value, "dial_out", true);
  out.operator_call = flag_of(value, "operator", true);
  out.recording = flag_of(value, "recording", true);
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

/// Seconds since 1970 of the end of that day, UTC; 0 for what is no date.
std::int64_t end_of_day(const std::string& text) {
  std::tm day{};
  const char* end = strptime(text.c_str(), "%Y-%m-%d", &day);
  if (end == nullptr || *end != '\0' || text.size() != 10) return 0;
  std::tm same = day;
  const std::int64_t begin = timegm(&same);
  // timegm() takes the 31st of February for a day in March.
  if (begin <= 0 || same.tm_mday != day.tm_mday || same.tm_mon != day.tm_mon) return 0;
  return begin + 86400;
}

Result<PhoneEntry> phone_of(const json& value) {
  const auto wrong = [](const std::string& what) { return Error{what}; };
  if (!value.is_object()) return wrong("must be an object");
  PhoneEntry out;
  const auto pin = value.find("pin");
  out.pin = text_of(value, "pin");
  if (pin != value.end() && (out.pin.size() < 4 || !protocol::valid_pin(out.pin))) {
    return wrong("\"pin\" must be a text of 4 to 32 letters, digits or '-'");
  }
  const std::string state = value.contains("state") ? text_of(value, "state")
                            : out.pin.empty()       ? ""
                                                    : "inactive";
  if (state != "active" && state != "inactive" && state != "deactivated") {
    return wrong("\"state\" must be active, inactive or deactivated; without, give a \"pin\"");
  }
  out.state = state == "active"     ? PhoneState::kActive
              : state == "inactive" ? PhoneState::kInactive
                                    : PhoneState::kDeactivated;
  if (value.contains("pin_expires")) {
    out.pin_expires_s = end_of_day(text_of(value, "pin_expires"));
    if (out.pin_expires_s == 0) return wrong("\"pin_expires\" must be a day such as 2027-03-31");
  }
  if (value.contains("certificate_sha256")) {
    out.certificate = text_of(value, "certificate_sha256");
    if (out.certificate.size() != 64 ||
        out.certificate.find_first_not_of("0123456789abcdef") != std::string::npos) {
      return wrong("\"certificate_sha256\" must be 64 digits of lower-case hexadecimal");
    }
  }
  return out;
}

}  // namespace

const ConferenceEntry* Directory::find(std::string_view id) const {
  const auto it = std::find_if(conferences.begin(), conferences.end(),
                               [id](const ConferenceEntry& c) { return c.id == id; });
  return it == conferences.end() ? nullptr : &*it;
}

Result<ConferenceEntry> parse_conference(std::string_view text) {
  return conference_of(json::parse(text, nullptr, /*allow_exceptions=*/false));
}

Result<PhoneEntry> parse_phone(std::string_view text) {
  return phone_of(json::parse(text, nullptr, /*allow_exceptions=*/false));
}

std::string to_json(const ConferenceEntry& entry) {
  return json{{"id", entry.id},
              {"title", entry.title},
              {"chairperson_passcode", entry.chairperson_passcode},
              {"participant_passcode", entry.participant_passcode},
              {"email_required", entry.email_required},
              {"emails", entry.emails},
              {"self_mute", entry.self_mute},
              {"dial_out", entry.dial_out},
              {"operator", entry.operator_call},
              {"recording", entry.recording}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string last_day_of(const PhoneEntry& entry) {
  if (entry.pin_expires_s == 0) return {};
  const std::time_t day = entry.pin_expires_s - 1;
  std::tm parts{};
  gmtime_r(&day, &parts);
  char text[16];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return std::string(text, size);
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
    auto parsed = conference_of((*list)[i]);
    if (!parsed) {
      return Error{"conferences[" + std::to_string(i) + "]: " + parsed.error().message};
    }
    ConferenceEntry entry = std::move(*parsed);
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
      if (!protocol::valid_identifier(serial)) {
        return Error{"phones: each needs a serial number and an object"};
      }
      auto phone = phone_of(value);
      if (!phone) return Error{"phones[\"" + serial + "\"]: " + phone.error().message};
      out.phones[serial] = std::move(*phone);
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
