// SPDX-License-Identifier: Apache-2.0
#include "service/focus/opus_merger.h"

#include <opus/opus.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace conclave::service {
namespace {

constexpr std::uint32_t kHalf = 480;
constexpr std::uint32_t kSlot = 960;
constexpr std::int64_t kSlotNs = 20'000'000;
constexpr std::int64_t kLeastGraceNs = 8'000'000;
constexpr std::int64_t kMostGraceNs = 60'000'000;
// Beyond this the source has jumped and slots start again.
constexpr std::int32_t kFarAhead = 48000;

/// Samples at 48 kHz of a packet whose inner lengths agree, or -1.
int samples_in(std::span<const std::uint8_t> payload) noexcept {
  if (payload.empty()) return -1;
  unsigned char toc = 0;
  const unsigned char* frames[48];
  opus_int16 sizes[48];
  const int count = opus_packet_parse(payload.data(), static_cast<opus_int32>(payload.size()), &toc,
                                      frames, sizes, nullptr);
  return count > 0 ? count * opus_packet_get_samples_per_frame(payload.data(), 48000) : -1;
}

}  // namespace

OpusMerger::OpusMerger(Emit emit)
    : emit_(std::move(emit)),
      repacketizer_(opus_repacketizer_create(), &opus_repacketizer_destroy) {}

OpusMerger::~OpusMerger() = default;

void OpusMerger::restart() noexcept {
  aligned_ = false;
  deadline_ns_ = kNever;
  halves_[0].present = halves_[1].present = false;
  fillers_in_row_ = 0;
}

void OpusMerger::align(std::uint32_t timestamp) noexcept {
  restart();
  slot_start_ = timestamp;
  aligned_ = true;
}

void OpusMerger::push(std::span<const std::uint8_t> payload, std::uint32_t timestamp,
                      std::int64_t now_ns, double jitter_ms) noexcept {
  const int samples = samples_in(payload);
  if ((samples != static_cast<int>(kHalf) && samples != static_cast<int>(kSlot)) ||
      payload.size() > kMaxPayload) {
    ++counters_.unusable;
    return;
  }
  grace_ns_ = std::clamp(kLeastGraceNs + static_cast<std::int64_t>(3e6 * jitter_ms), kLeastGraceNs,
                         kMostGraceNs);
  if (!aligned_) align(timestamp);
  auto offset = static_cast<std::int32_t>(timestamp - slot_start_);
  if (offset > kFarAhead || offset < -kFarAhead || offset % static_cast<std::int32_t>(kHalf) != 0 ||
      (samples == static_cast<int>(kSlot) && offset % static_cast<std::int32_t>(kSlot) != 0)) {
    if (halves_[0].present || halves_[1].present) close_slot(now_ns);
    align(timestamp);
    offset = 0;
  }
  if (offset < 0) {
    ++counters_.late;
    return;
  }
  while (offset >= static_cast<std::int32_t>(kSlot)) {
    // What came has overtaken the slot. Long gaps are not worth a burst of fillers.
    const bool empty = !halves_[0].present && !halves_[1].present;
    if (empty &&
        (fillers_in_row_ >= kMaxFillers || offset >= static_cast<std::int32_t>(4 * kSlot))) {
      const auto slots = static_cast<std::uint32_t>(offset) / kSlot;
      slot_start_ += slots * kSlot;
      out_timestamp_ += slots * kSlot;
    } else {
      close_slot(now_ns);
      aligned_ = true;
    }
    offset = static_cast<std::int32_t>(timestamp - slot_start_);
  }
  fillers_in_row_ = 0;
  last_toc_ = payload[0];
  if (samples == static_cast<int>(kSlot)) {
    ++counters_.passed;
    send(payload);
    deadline_ns_ = now_ns + kSlotNs + grace_ns_;
    return;
  }
  Half& half = halves_[static_cast<std::size_t>(offset) / kHalf];
  if (half.present) {
    ++counters_.late;
    return;
  }
  std::memcpy(half.data.data(), payload.data(), payload.size());
  half.size = payload.size();
  half.present = true;
  if (halves_[0].present && halves_[1].present) {
    close_slot(now_ns);
  } else if (deadline_ns_ == kNever) {
    deadline_ns_ = now_ns + kSlotNs / 2 + grace_ns_;
  }
}

void OpusMerger::tick(std::int64_t now_ns) noexcept {
  if (!aligned_ || now_ns < deadline_ns_) return;
  const bool empty = !halves_[0].present && !halves_[1].present;
  if (empty && fillers_in_row_ >= kMaxFillers) {
    // The sender is silent. Its next packet opens a slot of its own, wherever it falls.
    restart();
    return;
  }
  // From deadline to deadline: the mixer's clock does not wait either.
  const std::int64_t planned = deadline_ns_;
  close_slot(planned - grace_ns_);
}

void OpusMerger::close_slot(std::int64_t now_ns) noexcept {
  std::array<std::uint8_t, 2 * kMaxPayload + 8> out{};
  const auto view = [](const Half& half) {
    return std::span<const std::uint8_t>(half.data.data(), half.size);
  };
  const bool first = halves_[0].present;
  const bool second = halves_[1].present;
  std::size_t size = 0;
  if (first && second) {
    size = combine(view(halves_[0]), view(halves_[1]), out);
    if (size > 0) {
      ++counters_.merged;
    } else {
      ++counters_.mode_break;
    }
  } else if (first || second) {
    ++counters_.half_lost;
  } else {
    ++counters_.fillers;
    ++fillers_in_row_;
  }
  if (size == 0) {
    const Half* kept = first ? &halves_[0] : second ? &halves_[1] : nullptr;
    size = with_holes(kept == nullptr ? std::span<const std::uint8_t>() : view(*kept), first, out);
  }
  if (size > 0) {
    send({out.data(), size});
  } else {
    ++counters_.unusable;
    slot_start_ += kSlot;
    out_timestamp_ += kSlot;
  }
  halves_[0].present = halves_[1].present = false;
  deadline_ns_ = now_ns + kSlotNs + grace_ns_;
}

void OpusMerger::send(std::span<const std::uint8_t> payload) noexcept {
  emit_(payload, out_timestamp_);
  slot_start_ += kSlot;
  out_timestamp_ += kSlot;
}

std::size_t OpusMerger::with_holes(std::span<const std::uint8_t> kept, bool kept_first,
                                   std::span<std::uint8_t> out) noexcept {
  // A packet of one byte is one frame of no length.
  const std::uint8_t toc = (kept.empty() ? last_toc_ : kept[0]) & 0xfc;
  const auto frame = static_cast<std::uint32_t>(opus_packet_get_samples_per_frame(&toc, 48000));
  OpusRepacketizer* r = repacketizer_.get();
  opus_repacketizer_init(r);
  bool ok = true;
  if (kept_first && !kept.empty()) {
    ok = opus_repacketizer_cat(r, kept.data(), static_cast<opus_int32>(kept.size())) == OPUS_OK;
  }
  for (std::uint32_t missing = kept.empty() ? kSlot : kHalf; ok && missing >= frame;
       missing -= frame) {
    ok = opus_repacketizer_cat(r, &toc, 1) == OPUS_OK;
  }
  if (ok && !kept_first && !kept.empty()) {
    ok = opus_repacketizer_cat(r, kept.data(), static_cast<opus_int32>(kept.size())) == OPUS_OK;
  }
  const opus_int32 size =
      ok ? opus_repacketizer_out(r, out.data(), static_cast<opus_int32>(out.size())) : 0;
  return size > 0 ? static_cast<std::size_t>(size) : 0;
}

std::size_t OpusMerger::combine(std::span<const std::uint8_t> first,
                                std::span<const std::uint8_t> second,
                                std::span<std::uint8_t> out) noexcept {
  OpusRepacketizer* r = repacketizer_.get();
  opus_repacketizer_init(r);
  if (opus_repacketizer_cat(r, first.data(), static_cast<opus_int32>(first.size())) != OPUS_OK ||
      opus_repacketizer_cat(r, second.data(), static_cast<opus_int32>(second.size())) != OPUS_OK) {
    return 0;
  }
  const opus_int32 size = opus_repacketizer_out(r, out.data(), static_cast<opus_int32>(out.size()));
  return size > 0 ? static_cast<std::size_t>(size) : 0;
}

}  // namespace conclave::service
