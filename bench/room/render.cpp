// SPDX-License-Identifier: Apache-2.0
#include "bench/room/render.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "bench/room/sinc.h"
#include "bench/room/wav.h"

namespace conclave::bench::room {

Result<Rendering> render(const Scene& scene, double seconds, ConstFrameView far, Parts parts) {
  if (!(seconds > 0 && seconds <= 24 * 3600)) return Error{"seconds must be positive"};
  CONCLAVE_TRY(auto simulator, Simulator::create(scene, parts));
  const int block = simulator->block_frames();
  const int blocks = static_cast<int>(std::ceil(seconds * scene.sample_rate / block));
  const int frames = blocks * block;
  Rendering result;
  result.sample_rate = scene.sample_rate;
  result.microphones = FrameBuffer(simulator->microphones(), frames);
  result.far = FrameBuffer(1, frames);
  if (!far.empty()) {
    const auto from = far[0];
    std::copy_n(from.begin(), std::min<std::size_t>(from.size(), static_cast<std::size_t>(frames)),
                result.far.data());
  }
  const int ring = static_cast<int>(scene.ring.size());
  std::vector<ClockSkew> clocks;
  std::vector<int> filled(scene.satellites.size());
  for (const Satellite& satellite : scene.satellites) {
    clocks.emplace_back(satellite.ppm, block);
    result.satellites.emplace_back(1, ClockSkew::max_output(frames));
  }
  const int step = scene.sample_rate / 100;
  for (int b = 0; b < blocks; ++b) {
    const FrameView out = result.microphones.view().columns(b * block, block);
    simulator->process(result.far.view().columns(b * block, block), out);
    for (std::size_t s = 0; s < clocks.size(); ++s) {
      const auto to = result.satellites[s][0].subspan(static_cast<std::size_t>(filled[s]));
      filled[s] += clocks[s].process(out[ring + static_cast<int>(s)], to);
    }
    for (int at = b * block; at < (b + 1) * block; ++at) {
      if (at % step == 0) result.truth.push_back(simulator->truth_at(at));
    }
  }
  for (std::size_t s = 0; s < clocks.size(); ++s) {
    FrameBuffer exact(1, filled[s]);
    copy<float>(result.satellites[s].view().columns(0, filled[s]), exact);
    result.satellites[s] = std::move(exact);
  }
  return result;
}

Status write_rendering(const Rendering& rendering, const Scene& scene, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return Error{"folder " + folder + " cannot be made: " + error.message()};
  const std::string base = folder + "/";
  // What the cards would have given: the satellites' rows on their own clocks.
  FrameBuffer cards(rendering.microphones.channels(), rendering.microphones.frames());
  copy<float>(rendering.microphones, cards);
  const int ring = static_cast<int>(scene.ring.size());
  for (std::size_t s = 0; s < rendering.satellites.size(); ++s) {
    const auto to = cards[ring + static_cast<int>(s)];
    const auto from = rendering.satellites[s][0];
    std::fill(to.begin(), to.end(), 0.0F);
    std::copy_n(from.begin(), std::min(from.size(), to.size()), to.begin());
  }
  CONCLAVE_CHECK_STATUS(write_wav(base + "mics.wav", cards, rendering.sample_rate));
  CONCLAVE_CHECK_STATUS(write_wav(base + "far.wav", rendering.far, rendering.sample_rate));
  std::ofstream truth(base + "truth.csv");
  truth << "t_seconds,talker,azimuth_deg,speech,far\n";
  for (const Truth& t : rendering.truth) {
    std::array<char, 96> line{};
    const bool speech = t.talker >= 0;
    std::snprintf(line.data(), line.size(), "%.2f,%s,%.2f,%d,%d\n", t.t_seconds,
                  speech ? scene.talkers[static_cast<std::size_t>(t.talker)].id.c_str() : "",
                  t.azimuth_deg, speech ? 1 : 0, t.far_active ? 1 : 0);
    truth << line.data();
  }
  std::ofstream(base + "scene.json") << scene_json(scene);
  std::ofstream(base + "profile.json") << profile_json(scene);
  if (!truth.flush()) return Error{"folder " + folder + " cannot be written; is the disk full?"};
  return {};
}

}  // namespace conclave::bench::room
