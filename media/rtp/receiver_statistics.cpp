// SPDX-License-Identifier: Apache-2.0
#include "media/rtp/receiver_statistics.h"

#include <algorithm>
#include <cmath>

namespace conclave::media {
namespace {
constexpr std::uint16_t kMaxDropout = 3000;
constexpr std::uint16_t kMaxMisorder = 100;
}  // namespace

void ReceiverStatistics::restart(std::uint32_t ssrc, std::uint16_t sequence) noexcept {
  lost_before_ = lost();
  started_ = true;
  ssrc_ = ssrc;
  cycles_ = 0;
  max_ = sequence;
  base_ = sequence;
  bad_ = 0x10000;
  received_ = 0;
  expected_prior_ = 0;
  received_prior_ = 0;
  have_transit_ = false;
}

ReceiverStatistics::Verdict ReceiverStatistics::update(std::uint32_t ssrc, std::uint16_t sequence,
                                                       std::uint32_t timestamp,
                                                       std::int64_t arrival_ns) noexcept {
  auto verdict = Verdict::kAccepted;
  if (!started_ || ssrc != ssrc_) {
    verdict = started_ ? Verdict::kRestart : Verdict::kAccepted;
    restart(ssrc, sequence);
  } else {
    const auto ahead = static_cast<std::uint16_t>(sequence - max_);
    if (ahead < kMaxDropout) {
      if (sequence < max_) cycles_ += 0x10000;
      max_ = sequence;
    } else if (ahead <= 0x10000 - kMaxMisorder) {
      // A very large jump: believed when the next packet follows it.
      if (sequence != bad_) {
        bad_ = (sequence + 1U) & 0xffff;
        return Verdict::kRejected;
      }
      verdict = Verdict::kRestart;
      restart(ssrc, sequence);
    }
  }
  ++received_;
  ++total_received_;

  // Modulo 2^32 throughout, so that neither clock's wrap matters.
  const auto arrival = static_cast<std::uint32_t>(arrival_ns / 1000 * 48 / 1000);
  const std::uint32_t transit = arrival - timestamp;
  if (have_transit_) {
    const double d = std::abs(static_cast<double>(static_cast<std::int32_t>(transit - transit_)));
    // One clock jump must not spoil the figure for minutes.
    if (d < 48000.0 * 5) jitter_ += (d - jitter_) / 16.0;
  }
  have_transit_ = true;
  transit_ = transit;
  return verdict;
}

std::int64_t ReceiverStatistics::cumulative_lost() const {
  if (!started_) return 0;
  const std::int64_t expected = static_cast<std::int64_t>(cycles_) + max_ - base_ + 1;
  return expected - static_cast<std::int64_t>(received_);
}

std::uint64_t ReceiverStatistics::lost() const {
  return lost_before_ + static_cast<std::uint64_t>(std::max<std::int64_t>(cumulative_lost(), 0));
}

std::uint8_t ReceiverStatistics::take_fraction_lost() noexcept {
  const std::int64_t expected = cumulative_lost() + static_cast<std::int64_t>(received_);
  const auto received = static_cast<std::int64_t>(received_);
  const std::int64_t expected_now = expected - expected_prior_;
  const std::int64_t lost_now = expected_now - (received - received_prior_);
  expected_prior_ = expected;
  received_prior_ = received;
  if (expected_now <= 0 || lost_now <= 0) return 0;
  return static_cast<std::uint8_t>(std::min<std::int64_t>(lost_now * 256 / expected_now, 255));
}

}  // namespace conclave::media
