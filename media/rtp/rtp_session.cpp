// SPDX-License-Identifier: Apache-2.0
#include "media/rtp/rtp_session.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>

namespace conclave::media {
namespace {

template <typename T>
bool randomize(T& value) {
  return RAND_bytes(reinterpret_cast<unsigned char*>(&value), sizeof value) == 1;
}

bool same_key(const std::optional<SrtpKey>& a, const std::optional<SrtpKey>& b) {
  return a.has_value() == b.has_value() && (!a || *a == *b);
}

/// What becomes of a datagram that SRTP does not let in.
std::optional<RtpSession::Kind> refusal(SrtpSession::Outcome outcome) noexcept {
  switch (outcome) {
    case SrtpSession::Outcome::kOk:
      break;
    case SrtpSession::Outcome::kReplayed:
      return RtpSession::Kind::kReplayed;
    case SrtpSession::Outcome::kForged:
      return RtpSession::Kind::kForged;
    case SrtpSession::Outcome::kMalformed:
      return RtpSession::Kind::kMalformed;
  }
  return std::nullopt;
}

}  // namespace

Result<std::unique_ptr<RtpSession>> RtpSession::create(const RtpSessionConfig& config) {
  std::unique_ptr<RtpSession> self(new RtpSession);
  std::array<std::uint8_t, 12> name{};
  if (!randomize(self->ssrc_) || !randomize(self->sequence_) || !randomize(self->timestamp_) ||
      !randomize(name)) {
    return Error{"the random generator failed"};
  }
  // Below half: a receiver that starts counting late cannot mistake a wrap (RFC 3711, 3.3.1).
  self->sequence_ &= 0x7fff;
  self->cname_ = config.cname.substr(0, 255);
  if (self->cname_.empty()) {
    for (const auto byte : name) self->cname_ += "0123456789abcdef"[byte & 15];
  }
  self->set_payload_types(config.send_payload_type, config.receive_payload_type);
  CONCLAVE_CHECK_STATUS(self->set_keys(config.local_key, config.remote_key));
  return self;
}

void RtpSession::set_payload_types(std::uint8_t send, std::uint8_t receive) noexcept {
  send_type_ = send & 0x7f;
  receive_type_ = receive & 0x7f;
}

Status RtpSession::set_keys(const std::optional<SrtpKey>& local,
                            const std::optional<SrtpKey>& remote) {
  if (local.has_value() != remote.has_value()) {
    return Error{"SRTP needs the keys of both directions"};
  }
  // The same keys keep their session: its counters must not start again.
  if (same_key(local, local_key_) && same_key(remote, remote_key_)) return {};
  std::unique_ptr<SrtpSession> session;
  if (local) {
    CONCLAVE_TRY(session, SrtpSession::create(*local, *remote));
  }
  srtp_ = std::move(session);
  local_key_ = local;
  remote_key_ = remote;
  return {};
}

std::size_t RtpSession::finish_rtp(std::span<std::uint8_t> buffer, std::size_t payload_size,
                                   std::uint32_t duration48) noexcept {
  if (payload_size > buffer.size() - kPayloadAt) return 0;
  const RtpHeader header{send_type_, sent_packets_ == 0, sequence_, timestamp_, ssrc_};
  std::size_t size = write_rtp(header, buffer.subspan(kPayloadAt, payload_size), buffer);
  ++sequence_;
  timestamp_ += duration48;
  if (srtp_ && size != 0) size = srtp_->protect_rtp(buffer, size);
  if (size == 0) return 0;
  ++sent_packets_;
  sent_octets_ += payload_size;
  return size;
}

void RtpSession::skip(std::uint32_t duration48) noexcept { timestamp_ += duration48; }

RtpSession::Kind RtpSession::receive(std::span<std::uint8_t> datagram, std::int64_t arrival_ns,
                                     std::int64_t unix_ns, RtpPacket& packet) noexcept {
  if (looks_like_rtcp(datagram)) return receive_rtcp(datagram, arrival_ns, unix_ns);
  std::size_t size = datagram.size();
  // libsrtp is shown nothing that is not RTP by its form.
  if (!parse_rtp(datagram)) {
    // Protected packets may look padded: the padding's length is encrypted.
    if (size < kRtpHeaderBytes || datagram[0] >> 6 != 2 || !srtp_) return Kind::kMalformed;
  }
  if (srtp_) {
    if (const auto refused = refusal(srtp_->unprotect_rtp(datagram, size))) return *refused;
  }
  const auto parsed = parse_rtp(datagram.first(size));
  if (!parsed) return Kind::kMalformed;
  if (parsed->header.payload_type != receive_type_) return Kind::kOther;
  packet = *parsed;
  switch (statistics_.update(packet.header.ssrc, packet.header.sequence, packet.header.timestamp,
                             arrival_ns)) {
    case ReceiverStatistics::Verdict::kAccepted:
      return Kind::kAudio;
    case ReceiverStatistics::Verdict::kRestart:
      return Kind::kRestarted;
    case ReceiverStatistics::Verdict::kRejected:
      break;
  }
  return Kind::kOther;
}

RtpSession::Kind RtpSession::receive_rtcp(std::span<std::uint8_t> datagram, std::int64_t arrival_ns,
                                          std::int64_t unix_ns) noexcept {
  std::size_t size = datagram.size();
  if (srtp_) {
    if (const auto refused = refusal(srtp_->unprotect_rtcp(datagram, size))) return *refused;
  }
  const auto compound = parse_rtcp(datagram.first(size));
  if (!compound) return Kind::kMalformed;
  ++report_.rtcp_received;
  report_.bye |= compound->bye;
  if (compound->sender) {
    last_sr_ = ntp_middle(compound->sender->ntp);
    last_sr_ns_ = arrival_ns;
  }
  for (const auto& block : compound->reports()) {
    if (block.ssrc != ssrc_) continue;
    report_.remote_loss_percent = block.fraction_lost * 100.0 / 256;
    report_.remote_jitter_ms = block.jitter / 48.0;
    if (const auto rtt = round_trip_ms(block, ntp_from_unix_ns(unix_ns))) report_.rtt_ms = *rtt;
  }
  return Kind::kOther;
}

std::size_t RtpSession::make_rtcp(std::span<std::uint8_t> buffer, std::int64_t now_ns,
                                  std::int64_t unix_ns, bool bye) noexcept {
  RtcpCompound compound;
  compound.ssrc = ssrc_;
  if (sent_packets_ != sent_at_last_report_) {
    sent_at_last_report_ = sent_packets_;
    compound.sender = RtcpSenderInfo{ntp_from_unix_ns(unix_ns), timestamp_,
                                     static_cast<std::uint32_t>(sent_packets_),
                                     static_cast<std::uint32_t>(sent_octets_)};
  }
  if (statistics_.started()) {
    RtcpReportBlock& block = compound.blocks[0];
    compound.block_count = 1;
    block.ssrc = statistics_.ssrc();
    block.fraction_lost = statistics_.take_fraction_lost();
    block.cumulative_lost = static_cast<std::int32_t>(
        std::clamp<std::int64_t>(statistics_.cumulative_lost(), -0x800000, 0x7fffff));
    block.highest_sequence = statistics_.highest_sequence();
    block.jitter = statistics_.jitter_units();
    block.last_sr = last_sr_;
    if (last_sr_ != 0) {
      block.delay_since_last_sr =
          static_cast<std::uint32_t>((now_ns - last_sr_ns_) / 1000 * 65536 / 1'000'000);
    }
  }
  compound.cname = cname_;
  compound.bye = bye;
  std::size_t size = write_rtcp(compound, buffer);
  if (srtp_ && size != 0) size = srtp_->protect_rtcp(buffer, size);
  if (size != 0) ++report_.rtcp_sent;
  return size;
}

}  // namespace conclave::media
