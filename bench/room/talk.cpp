// SPDX-License-Identifier: Apache-2.0
#include "bench/room/talk.h"

#include <algorithm>
#include <cmath>

#include "bench/room/random.h"
#include "bench/room/voices.h"

namespace conclave::bench::room {

Result<Talk> make_talk(const Scene& scene) {
  Talk talk;
  const int rate = scene.sample_rate;
  const int frame = rate / 100;
  talk.loop_samples = static_cast<int>(std::lround(scene.talk_seconds * 100)) * frame;
  const auto length = static_cast<std::size_t>(talk.loop_samples);
  const std::size_t count = scene.talkers.size();
  std::vector<std::vector<std::vector<float>>> pieces;
  for (std::size_t t = 0; t < count; ++t) {
    CONCLAVE_TRY(auto loaded, load_utterances(scene.talkers[t].voice, rate,
                                              scene.talk_seconds / static_cast<double>(count),
                                              scene.seed * 7919 + t));
    pieces.push_back(std::move(loaded));
    talk.dry.emplace_back(length);
    talk.active.emplace_back(length / static_cast<std::size_t>(frame));
  }
  if (count == 0) return talk;

  Random random(scene.seed ^ 0x7a1c);
  std::vector<std::size_t> next(count);
  const auto samples = [&](double low, double high) {
    return static_cast<std::size_t>(random.uniform(low, high) * rate);
  };
  std::size_t at = samples(0.3, 0.6);
  bool full = false;
  for (std::size_t t = 0; !full; t = (t + 1) % count) {
    const auto gain = static_cast<float>(std::pow(10.0, scene.talkers[t].level_dbfs / 20));
    const std::size_t turn_end = at + samples(3, 9);
    do {
      const auto& piece = pieces[t][next[t]++ % pieces[t].size()];
      if (at + piece.size() + static_cast<std::size_t>(rate / 5) > length) {
        full = true;  // the loop ends in a pause
        break;
      }
      for (std::size_t i = 0; i < piece.size(); ++i) talk.dry[t][at + i] = gain * piece[i];
      at += piece.size() + samples(0.15, 0.5);
    } while (at < turn_end);
    at += samples(0.4, 1.6);
    if (t + 1 == count) at += static_cast<std::size_t>(scene.listen_seconds * rate);
  }

  for (std::size_t t = 0; t < count; ++t) {
    // Audible: within 30 dB of the talker's own level. Hangover of 100 ms bridges stops.
    const double least = std::pow(10.0, (scene.talkers[t].level_dbfs - 30) / 10);
    int hangover = 0;
    for (std::size_t f = 0; f < talk.active[t].size(); ++f) {
      double energy = 0;
      for (int i = 0; i < frame; ++i) {
        const double x = static_cast<double>(
            talk.dry[t][f * static_cast<std::size_t>(frame) + static_cast<std::size_t>(i)]);
        energy += x * x;
      }
      hangover = energy / frame > least ? 10 : hangover - 1;
      talk.active[t][f] = hangover > 0;
    }
  }
  return talk;
}

}  // namespace conclave::bench::room
