// SPDX-License-Identifier: Apache-2.0
#include "bench/room/scene.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>
#include <sstream>
#include <utility>

namespace conclave::bench::room {
namespace {

using nlohmann::json;

json to_json(Point p) { return json::array({p.x, p.y, p.z}); }

/// Reads members of one object and remembers the first thing that is wrong.
class Reader {
 public:
  Reader(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) complain("", "is not an object");
  }

  void get(const char* key, double& value) {
    if (const json* found = find(key)) {
      if (found->is_number()) {
        value = found->get<double>();
      } else {
        complain(key, "is not a number");
      }
    }
  }
  void get(const char* key, int& value) {
    double number = value;
    get(key, number);
    value = static_cast<int>(std::lround(number));
  }
  void get(const char* key, std::uint64_t& value) {
    if (const json* found = find(key)) {
      if (found->is_number_unsigned()) {
        value = found->get<std::uint64_t>();
      } else {
        complain(key, "is not a whole number");
      }
    }
  }
  void get(const char* key, bool& value) {
    if (const json* found = find(key)) {
      if (found->is_boolean()) {
        value = found->get<bool>();
      } else {
        complain(key, "is neither true nor false");
      }
    }
  }
  void get(const char* key, std::string& value) {
    if (const json* found = find(key)) {
      if (found->is_string()) {
        value = found->get<std::string>();
      } else {
        complain(key, "is not a text");
      }
    }
  }
  void get(const char* key, Point& value) {
    if (const json* found = find(key)) point(key, *found, value);
  }
  void point(const char* key, const json& found, Point& value) {
    if (found.is_array() && found.size() == 3 && found[0].is_number() && found[1].is_number() &&
        found[2].is_number()) {
      value = {found[0].get<double>(), found[1].get<double>(), found[2].get<double>()};
    } else {
      complain(key, "is not [x, y, z] in metres");
    }
  }
  const json* find(const char* key) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }
  const json* list(const char* key) {
    const json* found = find(key);
    if (found != nullptr && !found->is_array()) {
      complain(key, "is not a list");
      return nullptr;
    }
    return found;
  }
  /// An object inside; missing: an empty one.
  Reader inside(const char* key) {
    static const json kEmpty = json::object();
    const json* found = find(key);
    return Reader(found == nullptr ? kEmpty : *found, where_ + key + ".");
  }
  void complain(const std::string& key, const std::string& what) {
    if (problem_.empty()) problem_ = "scene: \"" + where_ + key + "\" " + what;
  }
  void take(const Reader& other) {
    if (problem_.empty()) problem_ = other.problem_;
  }
  const std::string& problem() const { return problem_; }

 private:
  const json& object_;
  std::string where_;
  std::string problem_;
};

std::vector<Point> ring_of(int count, double radius) {
  std::vector<Point> ring;
  for (int m = 0; m < count; ++m) {
    const double angle = 2 * std::numbers::pi * m / count;
    ring.push_back({radius * std::cos(angle), radius * std::sin(angle), 0});
  }
  return ring;
}

void read_arrays(Reader& top, Scene& scene) {
  if (const json* list = top.list("ring")) {
    scene.ring.clear();
    for (const json& entry : *list) top.point("ring", entry, scene.ring.emplace_back());
  }
  if (const json* list = top.list("satellites")) {
    scene.satellites.clear();
    for (const json& entry : *list) {
      Reader one(entry, "satellites.");
      Satellite& satellite = scene.satellites.emplace_back();
      one.get("position", satellite.position);
      one.get("ppm", satellite.ppm);
      top.take(one);
    }
  }
  if (const json* list = top.list("talkers")) {
    scene.talkers.clear();
    for (const json& entry : *list) {
      Reader one(entry, "talkers.");
      Talker& talker = scene.talkers.emplace_back();
      talker.id = std::string(1, static_cast<char>('A' + (scene.talkers.size() - 1) % 26));
      one.get("id", talker.id);
      one.get("voice", talker.voice);
      one.get("position", talker.position);
      one.get("level_dbfs", talker.level_dbfs);
      one.get("on", talker.on);
      one.get("impulse_responses", talker.impulse_responses);
      top.take(one);
    }
  }
}

bool finite(Point p) { return std::isfinite(p.x) && std::isfinite(p.y) && std::isfinite(p.z); }

}  // namespace

double distance(Point a, Point b) { return std::hypot(a.x - b.x, a.y - b.y, a.z - b.z); }

double azimuth_deg(Point p) {
  const double angle = std::atan2(p.y, p.x) * 180 / std::numbers::pi;
  return angle < 0 ? angle + 360 : angle;
}

int Scene::block_frames() const {
  return static_cast<int>(std::lround(block_ms * sample_rate / 1000));
}

Scene default_scene(int sample_rate) {
  Scene scene;
  scene.sample_rate = sample_rate;
  scene.ring = ring_of(8, 0.045);
  scene.satellites = {{{1.2, 0.1, 0.0}, 40}, {{-1.1, -0.3, 0.0}, -25}};
  Talker woman;
  woman.id = "A";
  woman.voice = "en_US_f_Allison";
  woman.position = {0.95, 0.85, 0.35};
  Talker man;
  man.id = "B";
  man.voice = "it_IT_m_Carlo";
  man.position = {-1.3, 0.45, 0.4};
  scene.talkers = {woman, man};
  scene.listen_seconds = 6;
  scene.fan_at = Point{-2.2, -1.6, 1.6};
  return scene;
}

Scene synthetic_scene(int sample_rate) {
  Scene scene = default_scene(sample_rate);
  scene.name = "synthetic";
  for (Talker& talker : scene.talkers) talker.voice = "synthetic";
  scene.listen_seconds = 0;
  return scene;
}

Status check_scene(const Scene& scene) {
  const auto wrong = [](const std::string& what) { return Error{"scene: " + what}; };
  if (scene.sample_rate != 48000 && scene.sample_rate != 16000)
    return wrong("\"sample_rate\" is neither 48000 nor 16000");
  if (scene.ring.empty() || scene.ring.size() > 16)
    return wrong("\"ring\" needs 1 to 16 microphones");
  if (scene.satellites.size() > 4) return wrong("\"satellites\" has more than 4");
  if (!(scene.speed_of_sound > 300 && scene.speed_of_sound < 400))
    return wrong("\"speed_of_sound\" is not between 300 and 400 m/s");
  for (const double side : {scene.size.x, scene.size.y, scene.size.z}) {
    if (!(side >= 1 && side <= 50)) return wrong("\"room.size\" is not between 1 and 50 m");
  }
  if (!(scene.rt60 >= 0 && scene.rt60 <= 2)) return wrong("\"room.rt60\" is not between 0 and 2 s");
  if (!(scene.rt60_high > 0 || scene.rt60 == 0)) return wrong("\"room.rt60_high\" is not positive");
  if (scene.block_ms != 2.5 && scene.block_ms != 5 && scene.block_ms != 10)
    return wrong("\"block_ms\" is not 2.5, 5 or 10");
  if (!(scene.talk_seconds >= 10 && scene.talk_seconds <= 600))
    return wrong("\"talk_seconds\" is not between 10 and 600");
  if (!(scene.listen_seconds >= 0 && scene.listen_seconds <= 60))
    return wrong("\"listen_seconds\" is not between 0 and 60");
  for (const double delay : {scene.capture_delay_ms, scene.playback_delay_ms}) {
    if (!(delay >= 0 && delay <= 200)) return wrong("\"converters\" are not between 0 and 200 ms");
  }
  if (!(scene.loudspeaker_drive >= 0 && scene.loudspeaker_drive <= 10) ||
      !(scene.loudspeaker_rub >= 0 && scene.loudspeaker_rub <= 1)) {
    return wrong("\"loudspeaker.drive\" is not in 0..10 or \"loudspeaker.rub\" not in 0..1");
  }
  const auto inside = [&](Point p) {
    const Point at = p + scene.array_at;
    return finite(at) && at.x > 0 && at.y > 0 && at.z > 0 && at.x < scene.size.x &&
           at.y < scene.size.y && at.z < scene.size.z;
  };
  for (const Point p : scene.ring) {
    if (!inside(p)) return wrong("a microphone of \"ring\" is outside the room");
  }
  for (const Satellite& s : scene.satellites) {
    if (!inside(s.position)) return wrong("a satellite is outside the room");
    if (!(std::abs(s.ppm) <= 1000)) return wrong("a satellite's \"ppm\" is not within +-1000");
  }
  if (!inside(scene.loudspeaker)) return wrong("\"loudspeaker.position\" is outside the room");
  if (scene.fan_at && !inside(*scene.fan_at)) return wrong("\"fan.position\" is outside the room");
  for (std::size_t i = 0; i < scene.talkers.size(); ++i) {
    const Talker& talker = scene.talkers[i];
    if (!inside(talker.position)) return wrong("talker \"" + talker.id + "\" is outside the room");
    if (talker.id.empty() || talker.id.find_first_of("/ \t\n") != std::string::npos)
      return wrong("a talker's \"id\" is empty or holds a slash or a space");
    for (std::size_t j = 0; j < i; ++j) {
      if (scene.talkers[j].id == talker.id) return wrong("two talkers are called " + talker.id);
    }
  }
  return {};
}

Result<Scene> parse_scene(const std::string& text) {
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) return Error{"scene: is not valid JSON"};
  Reader top(document, "");
  int sample_rate = 48000;
  top.get("sample_rate", sample_rate);
  Scene scene = default_scene(sample_rate);
  top.get("name", scene.name);
  top.get("seed", scene.seed);
  top.get("speed_of_sound", scene.speed_of_sound);
  top.get("block_ms", scene.block_ms);
  top.get("talk_seconds", scene.talk_seconds);
  top.get("listen_seconds", scene.listen_seconds);
  top.get("sensor_noise_dbfs", scene.sensor_noise_dbfs);
  Reader shoebox = top.inside("room");
  shoebox.get("size", scene.size);
  shoebox.get("array_at", scene.array_at);
  shoebox.get("rt60", scene.rt60);
  shoebox.get("rt60_high", scene.rt60_high);
  Reader speaker = top.inside("loudspeaker");
  speaker.get("position", scene.loudspeaker);
  speaker.get("gain_db", scene.loudspeaker_gain_db);
  speaker.get("drive", scene.loudspeaker_drive);
  speaker.get("rub", scene.loudspeaker_rub);
  speaker.get("impulse_responses", scene.loudspeaker_responses);
  Reader converters = top.inside("converters");
  converters.get("capture_ms", scene.capture_delay_ms);
  converters.get("playback_ms", scene.playback_delay_ms);
  Reader fan = top.inside("fan");
  fan.get("dbfs", scene.fan_dbfs);
  if (const json* at = fan.find("position")) {
    if (at->is_string() && *at == "diffuse") {
      scene.fan_at.reset();
    } else {
      fan.point("position", *at, scene.fan_at.emplace());
    }
  }
  for (const Reader* part : {&shoebox, &speaker, &converters, &fan}) top.take(*part);
  read_arrays(top, scene);
  if (!top.problem().empty()) return Error{top.problem()};
  CONCLAVE_CHECK_STATUS(check_scene(scene));
  return scene;
}

Result<Scene> load_scene(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Error{"scene file " + path + " cannot be read; check the path"};
  std::ostringstream text;
  text << file.rdbuf();
  auto scene = parse_scene(text.str());
  if (!scene) return Error{path + ": " + scene.error().message};
  return scene;
}

std::string scene_json(const Scene& scene) {
  json ring = json::array();
  for (const Point p : scene.ring) ring.push_back(to_json(p));
  json satellites = json::array();
  for (const Satellite& s : scene.satellites)
    satellites.push_back({{"position", to_json(s.position)}, {"ppm", s.ppm}});
  json talkers = json::array();
  for (const Talker& t : scene.talkers) {
    json talker = {{"id", t.id},
                   {"voice", t.voice},
                   {"position", to_json(t.position)},
                   {"level_dbfs", t.level_dbfs},
                   {"on", t.on}};
    if (!t.impulse_responses.empty()) talker["impulse_responses"] = t.impulse_responses;
    talkers.push_back(std::move(talker));
  }
  json speaker = {{"position", to_json(scene.loudspeaker)},
                  {"gain_db", scene.loudspeaker_gain_db},
                  {"drive", scene.loudspeaker_drive},
                  {"rub", scene.loudspeaker_rub}};
  if (!scene.loudspeaker_responses.empty())
    speaker["impulse_responses"] = scene.loudspeaker_responses;
  const json document = {
      {"name", scene.name},
      {"sample_rate", scene.sample_rate},
      {"seed", scene.seed},
      {"speed_of_sound", scene.speed_of_sound},
      {"block_ms", scene.block_ms},
      {"talk_seconds", scene.talk_seconds},
      {"listen_seconds", scene.listen_seconds},
      {"sensor_noise_dbfs", scene.sensor_noise_dbfs},
      {"room",
       {{"size", to_json(scene.size)},
        {"array_at", to_json(scene.array_at)},
        {"rt60", scene.rt60},
        {"rt60_high", scene.rt60_high}}},
      {"ring", ring},
      {"satellites", satellites},
      {"loudspeaker", speaker},
      {"talkers", talkers},
      {"fan",
       {{"dbfs", scene.fan_dbfs},
        {"position", scene.fan_at ? to_json(*scene.fan_at) : json("diffuse")}}},
      {"converters",
       {{"capture_ms", scene.capture_delay_ms}, {"playback_ms", scene.playback_delay_ms}}}};
  return document.dump(2) + "\n";
}

std::string profile_json(const Scene& scene) {
  json ring = json::array();
  for (const Point p : scene.ring) ring.push_back(to_json(p));
  json satellites = json::array();
  for (const Satellite& s : scene.satellites) satellites.push_back(to_json(s.position));
  const json document = {{"name", "virtual room: " + scene.name},
                         {"ring", ring},
                         {"satellites", satellites},
                         {"speed_of_sound", scene.speed_of_sound}};
  return document.dump(2) + "\n";
}

}  // namespace conclave::bench::room
