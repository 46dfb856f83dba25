// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::bench::room {

/// Metres. In a Scene all positions but the array's own are relative to the middle of the
/// microphone ring, as in the phone's profile; azimuth counts counter-clockwise from +x.
struct Point {
  double x = 0;
  double y = 0;
  double z = 0;
};
inline Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
double distance(Point a, Point b);
/// [0, 360).
double azimuth_deg(Point p);

struct Satellite {
  Point position;
  double ppm = 0;  ///< its clock against the ring's; + = faster
};

struct Talker {
  std::string id;
  /// A folder of Debian's asterisk-core-sounds ("en_US_f_Allison"), "synthetic" (made from the
  /// seed, needs no package) or the path of a mono WAV or FLAC file.
  std::string voice = "synthetic";
  Point position;
  double level_dbfs = -30;  ///< RMS of active speech at 1 m
  bool on = true;
  std::string impulse_responses;  ///< optional WAV file, one channel per microphone
};

/// A room, the phone in it and who talks. The default is a mid-size meeting room.
struct Scene {
  std::string name = "default";
  int sample_rate = 48000;  ///< 48000 or 16000
  std::uint64_t seed = 1;
  double speed_of_sound = 343.0;

  Point size{6.2, 4.8, 2.9};       ///< shoebox, one corner at the origin
  Point array_at{3.35, 2.2, 0.8};  ///< middle of the ring in the room
  double rt60 = 0.35;              ///< seconds, 0 = no reflections
  double rt60_high = 0.25;         ///< above about 4 kHz: walls and air take more there

  std::vector<Point> ring;  ///< 1..16 microphones
  std::vector<Satellite> satellites;

  Point loudspeaker{0.02, -0.09, -0.01};
  double loudspeaker_gain_db = -24;   ///< full scale in -> level at 1 m
  double loudspeaker_drive = 0.5;     ///< soft clipping: y = tanh(drive x) / drive; 0 = linear
  double loudspeaker_rub = 0.0;       ///< 0..1, rub and buzz at large excursions
  std::string loudspeaker_responses;  ///< optional WAV file, one channel per microphone

  std::vector<Talker> talkers;
  double talk_seconds = 64;   ///< length of the talkers' loop
  double listen_seconds = 0;  ///< silence after each round of turns: the far end's turn

  double fan_dbfs = -64;        ///< coloured noise, RMS at the ring; <= -200: off
  std::optional<Point> fan_at;  ///< empty: a diffuse field
  double sensor_noise_dbfs = -86;

  double capture_delay_ms = 4;  ///< of the simulated converters
  double playback_delay_ms = 4;
  double block_ms = 5;  ///< the room moves in steps of 2.5, 5 or 10 ms

  int microphones() const { return static_cast<int>(ring.size() + satellites.size()); }
  int block_frames() const;
};

/// 8 microphones on a ring of 4.5 cm, 2 satellites, a woman and a man talking in turn (recorded
/// voices), a fan.
Scene default_scene(int sample_rate = 48000);
/// The same without anything recorded: what tests use.
Scene synthetic_scene(int sample_rate = 48000);

/// Reads a scene; missing keys keep the default's value. Messages name the key.
Result<Scene> parse_scene(const std::string& json);
Result<Scene> load_scene(const std::string& path);
Status check_scene(const Scene& scene);
std::string scene_json(const Scene& scene);
/// What the phone's `--profile` takes: ring, satellites, speed of sound.
std::string profile_json(const Scene& scene);

}  // namespace conclave::bench::room
