// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>

struct OpusRepacketizer;

namespace conclave::service {

/// Turns a phone's Opus packets of 10 ms into packets of 20 ms without decoding: the mixer takes
/// nothing else (10 ms packets come out of it at half level).
///
/// Time is cut into slots of 20 ms from the first packet on, and each slot gives exactly one
/// packet, on time: a missing half becomes an empty frame, which the decoder conceals (RFC
/// 6716, 3.2.1), and a slot of which nothing came is filled likewise, up to kMaxFillers in a row;
/// then the sender is held to be silent, and its next packet begins a new row of slots. So loss
/// neither shortens the stream nor leaves the mixer's short queue out of step. Packets of 20 ms
/// pass unchanged. Two halves coded in different modes cannot share a packet: the second is given
/// up.
///
/// One thread; no allocation after the constructor.
class OpusMerger {
 public:
  static constexpr int kMaxFillers = 3;
  static constexpr std::size_t kMaxPayload = 1276;  // of one frame, RFC 6716, 3.4 [R2]
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

  /// One 20 ms packet; `timestamp` at 48 kHz, growing by 960 for each slot. The payload is valid
  /// during the call only.
  using Emit = std::function<void(std::span<const std::uint8_t> payload, std::uint32_t timestamp)>;

  struct Counters {
    std::uint64_t merged = 0;      ///< from two halves
    std::uint64_t passed = 0;      ///< was 20 ms already
    std::uint64_t half_lost = 0;   ///< one half concealed
    std::uint64_t fillers = 0;     ///< both
    std::uint64_t late = 0;        ///< came after its slot, or twice
    std::uint64_t mode_break = 0;  ///< second half given up
    std::uint64_t unusable = 0;    ///< no Opus, or frames that do not fit into 20 ms
  };

  explicit OpusMerger(Emit emit);
  ~OpusMerger();
  OpusMerger(const OpusMerger&) = delete;
  OpusMerger& operator=(const OpusMerger&) = delete;

  /// One RTP payload. `jitter_ms` of the source says how long to wait for what is missing.
  void push(std::span<const std::uint8_t> payload, std::uint32_t timestamp, std::int64_t now_ns,
            double jitter_ms) noexcept;
  /// Closes the slot whose time is over. Call at deadline_ns().
  void tick(std::int64_t now_ns) noexcept;
  std::int64_t deadline_ns() const noexcept { return deadline_ns_; }
  /// The source began anew (other SSRC, jump): the next packet begins a new row of slots.
  void restart() noexcept;
  /// What the next packet will carry.
  std::uint32_t next_timestamp() const noexcept { return out_timestamp_; }
  const Counters& counters() const noexcept { return counters_; }

 private:
  struct Half {
    bool present = false;
    std::size_t size = 0;
    std::array<std::uint8_t, kMaxPayload> data{};
  };
  void align(std::uint32_t timestamp) noexcept;
  void close_slot(std::int64_t now_ns) noexcept;
  void send(std::span<const std::uint8_t> payload) noexcept;
  std::size_t combine(std::span<const std::uint8_t> first, std::span<const std::uint8_t> second,
                      std::span<std::uint8_t> out) noexcept;
  std::size_t with_holes(std::span<const std::uint8_t> kept, bool kept_first,
                         std::span<std::uint8_t> out) noexcept;

  const Emit emit_;
  std::unique_ptr<OpusRepacketizer, void (*)(OpusRepacketizer*)> repacketizer_;
  Counters counters_{};
  bool aligned_ = false;
  std::uint32_t slot_start_ = 0;     // source timestamp of the slot being filled
  std::uint32_t out_timestamp_ = 0;  // of that slot
  std::array<Half, 2> halves_{};
  std::uint8_t last_toc_ = 0;
  int fillers_in_row_ = 0;
  std::int64_t deadline_ns_ = kNever;
  std::int64_t grace_ns_ = 8'000'000;
};

}  // namespace conclave::service
