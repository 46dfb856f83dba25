// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/frame_view.h"
#include "base/result.h"
#include "bench/room/scene.h"

namespace conclave::bench::room {

/// What is true about 10 ms of the room, at the talkers' mouths.
struct Truth {
  double t_seconds = 0;     ///< start of the 10 ms
  int talker = -1;          ///< index of who speaks, -1: nobody
  double azimuth_deg = 0;   ///< of that talker from the ring
  bool far_active = false;  ///< the loudspeaker plays something
};

/// Which parts of the room are heard; for component recordings.
struct Parts {
  bool loudspeaker = true;
  bool talkers = true;
  bool noise = true;
};

/// The room itself: loudspeaker signal in, microphones out, block by block, sample-exact and
/// deterministic for a scene. Knows no clock, card or thread. All microphones are on one clock
/// here; a satellite card's own clock is made by ClockSkew.
///
/// create() renders impulse responses and voices (about a second); process() allocates nothing.
/// Not thread-safe: the setters and process() are called under one lock or on one thread.
class Simulator {
 public:
  static Result<std::unique_ptr<Simulator>> create(const Scene& scene, Parts parts = {});
  ~Simulator();
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;

  const Scene& scene() const;
  int block_frames() const;
  int microphones() const;

  /// loudspeaker: 1 x block_frames; microphones: ring then satellites x block_frames. The first
  /// sample of a microphone block belongs to the same instant as the loudspeaker block's first.
  void process(ConstFrameView loudspeaker, FrameView microphones) noexcept;

  /// Samples processed since create().
  std::int64_t position() const;
  /// Truth at a sample of the talkers' time (the mouths').
  Truth truth_at(std::int64_t sample) const;
  /// The dry signal of a talker, one turn of the loop, as loud as at 1 m; sample n of the room's
  /// time is n modulo the length. Does not regard talker_on().
  std::span<const float> mouth(int talker) const;

  void set_talker_on(int talker, bool on) noexcept;
  bool talker_on(int talker) const;
  void set_fan_dbfs(double level) noexcept;
  double fan_dbfs() const;

  /// Impulse responses of a talker at a new place: made on any thread, given to the room by
  /// place_talker(), which swaps and hands the old ones back for freeing.
  struct Placement;
  struct PlacementDeleter {
    void operator()(Placement* placement) const;
  };
  using PlacementPtr = std::unique_ptr<Placement, PlacementDeleter>;
  Result<PlacementPtr> prepare_placement(int talker, Point position) const;
  PlacementPtr place_talker(PlacementPtr placement) noexcept;

 private:
  class Impl;
  explicit Simulator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace conclave::bench::room
