// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "base/frame_view.h"
#include "base/result.h"
#include "drivers/room/room_protocol.h"

namespace conclave::bench::room {

/// The room's end of one open PCM stream: shared memory and an event. All functions but open() are
/// called under the room's lock. What the client writes is bounded before it is used.
class CardStream {
 public:
  struct Shape {
    drivers::room::Direction direction = drivers::room::Direction::kCapture;
    int channels = 1;
    int sample_rate = 48000;
    int block_frames = 240;
    bool virtual_time = false;
  };
  static Result<std::unique_ptr<CardStream>> open(const Shape& shape);
  ~CardStream();
  CardStream(const CardStream&) = delete;
  CardStream& operator=(const CardStream&) = delete;

  const Shape& shape() const { return shape_; }
  /// Sends Welcome and both descriptors over a connected socket.
  Status welcome(int socket) const;

  /// Reads what the client wants. Before the other functions of a tick.
  void observe() noexcept;
  /// The client has started the stream.
  bool wanted() const noexcept { return client_.running; }
  bool running() const noexcept { return running_; }
  /// A stream whose partner of the same card is open but not yet started waits for it for a moment
  /// of real time, so that both start at the same sample.
  bool waits_for(const CardStream* partner, std::int64_t now_ns) noexcept;
  /// Begins or ends the run that the client asked for.
  void follow(const CardStream* partner, std::int64_t now_ns) noexcept;

  /// Playback: takes a block; silence where the client has not delivered.
  void take(FrameView block) noexcept;
  /// Capture: gives any number of frames.
  void give(ConstFrameView samples) noexcept;
  /// Makes the position known and wakes the client when it has waited for it.
  void publish(std::int64_t now_ns) noexcept;

  /// Virtual time: the stream can go on by `frames` without an xrun (or is broken anyway).
  bool can_move(int frames) const noexcept;

  void unplug() noexcept;
  void break_stream() noexcept;
  /// Blocks of playback in which the client was late.
  std::uint64_t underruns() const noexcept { return underruns_; }

 private:
  CardStream() = default;
  void wake() noexcept;

  Shape shape_;
  int memory_ = -1;
  int event_ = -1;
  std::uint32_t ring_frames_ = 0;
  std::size_t bytes_ = 0;
  drivers::room::SharedHeader* header_ = nullptr;
  float* samples_ = nullptr;
  drivers::room::Position client_;
  bool running_ = false;
  std::int64_t waiting_since_ns_ = 0;
  bool late_ = false;
  std::uint16_t generation_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t underruns_ = 0;
};

}  // namespace conclave::bench::room
