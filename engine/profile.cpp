// SPDX-License-Identifier: Apache-2.0
#include "engine/profile.h"

#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/metrics.h"

namespace conclave::engine {
namespace {

using Json = nlohmann::json;

Error bad(const std::string& source, const std::string& what) {
  return {"profile " + source + ": " + what};
}

std::optional<dsp::Position> parse_position(const Json& json) {
  if (!json.is_array() || json.size() != 3) return std::nullopt;
  for (const auto& number : json) {
    if (!number.is_number() || !std::isfinite(number.get<double>())) return std::nullopt;
  }
  return dsp::Position{json[0].get<double>(), json[1].get<double>(), json[2].get<double>()};
}

Status parse_satellites(const Json& list, const std::string& key, const std::string& source,
                        dsp::Geometry& geometry) {
  if (list.is_null()) return {};
  if (!list.is_array()) return bad(source, "\"" + key + "\" must be a list of [x,y,z] or null");
  if (list.size() > static_cast<std::size_t>(kMaxSatellites)) {
    return bad(source, "\"" + key + "\" has " + std::to_string(list.size()) + " entries; at most " +
                           std::to_string(kMaxSatellites) + " work");
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_null()) {
      geometry.satellites.emplace_back(std::nullopt);
      continue;
    }
    const auto position = parse_position(list[i]);
    if (!position) {
      return bad(source, "\"" + key + "\"[" + std::to_string(i) +
                             "] must be [x,y,z] in metres, or null where unknown");
    }
    geometry.satellites.emplace_back(position);
  }
  return {};
}

}  // namespace

Result<Profile> parse_profile(const std::string& text, const std::string& source) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return bad(source, "not JSON; see docs for the form of a profile");
  if (!json.is_object()) return bad(source, "must be a JSON object with a \"ring\"");

  Profile profile;
  for (const char* key : {"name", "scene"}) {
    if (profile.name.empty() && json.contains(key) && json[key].is_string()) {
      profile.name = json[key].get<std::string>();
    }
  }
  if (!json.contains("ring") || !json["ring"].is_array() || json["ring"].empty()) {
    return bad(source, "\"ring\" must be a list of at least one [x,y,z] in metres");
  }
  const Json& ring = json["ring"];
  if (ring.size() > static_cast<std::size_t>(kMaxMics)) {
    return bad(source, "\"ring\" has " + std::to_string(ring.size()) + " microphones; at most " +
                           std::to_string(kMaxMics) + " work");
  }
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const auto position = parse_position(ring[i]);
    if (!position) {
      return bad(source, "\"ring\"[" + std::to_string(i) + "] must be [x,y,z] in metres");
    }
    profile.geometry.ring.push_back(*position);
  }
  for (const char* key : {"satellites", "satellites_nominal"}) {
    if (!json.contains(key)) continue;
    CONCLAVE_CHECK_STATUS(parse_satellites(json[key], key, source, profile.geometry));
    break;
  }
  if (profile.ring_mics() + profile.satellites() > kMaxMics) {
    return bad(source, "ring and satellites together are more than " + std::to_string(kMaxMics) +
                           " microphones");
  }
  if (json.contains("speed_of_sound")) {
    if (!json["speed_of_sound"].is_number()) {
      return bad(source, "\"speed_of_sound\" must be a number in m/s");
    }
    profile.geometry.speed_of_sound = json["speed_of_sound"].get<double>();
  }
  if (auto fits = dsp::check_geometry(profile.geometry); !fits) {
    return bad(source, fits.error().message);
  }
  return profile;
}

Result<Profile> load_profile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return bad(path, "cannot be opened; check the path");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.bad()) return bad(path, "cannot be read");
  return parse_profile(text, path);
}

Profile single_microphone_profile() {
  Profile profile;
  profile.name = "single microphone";
  profile.geometry.ring.push_back({});
  return profile;
}

}  // namespace conclave::engine
