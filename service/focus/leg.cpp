// SPDX-License-Identifier: Apache-2.0
#include "service/focus/leg.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/ip.h>
#include <openssl/rand.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "service/janus/bridge.h"

namespace conclave::service {
namespace {

using media::RtpHeader;

constexpr int kReadsAtOnce = 16;
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kReportEvery = 2 * kSecond;
constexpr std::int64_t kQuietStep = 20'000'000;
// 20 ms of digital silence in Opus: CELT, full band, mono.
constexpr std::array<std::uint8_t, 3> kSilence{0xf8, 0xff, 0xfe};
constexpr std::uint32_t kPrimers = 3;
constexpr const char* kCname = "conclave-service";

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Result<Address> to_address(const std::string& literal, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(literal.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return Error{"\"" + literal + "\" is no IP address"};
  }
  Address out;
  std::memcpy(&out.storage, found->ai_addr, found->ai_addrlen);
  out.size = found->ai_addrlen;
  freeaddrinfo(found);
  return out;
}

Result<int> open_socket(const std::string& literal, std::uint16_t& port) {
  CONCLAVE_TRY(const Address address, to_address(literal, 0));
  const int fd =
      socket(address.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    if (fd >= 0) close(fd);
    return Error{"Cannot open a media port on " + literal + ": " + std::strerror(errno)};
  }
  port = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                                           : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
  const int expedited = IPTOS_DSCP_EF;
  setsockopt(fd, IPPROTO_IP, IP_TOS, &expedited, sizeof expedited);
  return fd;
}

bool same_address(const sockaddr_storage& a, const sockaddr_storage& b) noexcept {
  if (a.ss_family != b.ss_family) return false;
  if (a.ss_family == AF_INET) {
    const auto& x = reinterpret_cast<const sockaddr_in&>(a);
    const auto& y = reinterpret_cast<const sockaddr_in&>(b);
    return x.sin_port == y.sin_port && x.sin_addr.s_addr == y.sin_addr.s_addr;
  }
  const auto& x = reinterpret_cast<const sockaddr_in6&>(a);
  const auto& y = reinterpret_cast<const sockaddr_in6&>(b);
  return x.sin6_port == y.sin6_port &&
         std::memcmp(&x.sin6_addr, &y.sin6_addr, sizeof x.sin6_addr) == 0;
}

std::uint64_t ntp_now() noexcept {
  std::timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return media::ntp_from_unix_ns(static_cast<std::int64_t>(t.tv_sec) * kSecond + t.tv_nsec);
}

template <typename T>
T random_number() {
  T value{};
  RAND_bytes(reinterpret_cast<unsigned char*>(&value), sizeof value);
  return value;
}

}  // namespace

Leg::Leg()
    : merger_([this](std::span<const std::uint8_t> payload, std::uint32_t timestamp) {
        to_bridge(payload, timestamp);
      }),
      uplink_sequence_(random_number<std::uint16_t>()),
      uplink_ssrc_(random_number<std::uint32_t>()),
      downlink_sequence_(random_number<std::uint16_t>()),
      downlink_ssrc_(random_number<std::uint32_t>()),
      downlink_timestamp_(random_number<std::uint32_t>()) {}

Leg::~Leg() {
  if (phone_fd_ >= 0) close(phone_fd_);
  if (bridge_fd_ >= 0) close(bridge_fd_);
}

Result<std::unique_ptr<Leg>> Leg::create(const std::string& media_address) {
  std::unique_ptr<Leg> leg(new Leg);
  CONCLAVE_TRY(leg->phone_fd_, open_socket(media_address, leg->phone_port_));
  CONCLAVE_TRY(leg->bridge_fd_, open_socket("127.0.0.1", leg->bridge_port_));
  return leg;
}

Status Leg::connect(const media::MediaPeer& peer, std::int64_t now_ns) {
  CONCLAVE_TRY(const Address address, to_address(peer.address, peer.port));
  if (peer.local_key.has_value() != peer.remote_key.has_value()) {
    return Error{"The call has SRTP keys for one direction only"};
  }
  const bool same_keys =
      srtp_ != nullptr && peer_.local_key == peer.local_key && peer_.remote_key == peer.remote_key;
  if (!peer.local_key) {
    srtp_.reset();
  } else if (!same_keys) {
    CONCLAVE_TRY(srtp_, media::SrtpSession::create(*peer.local_key, *peer.remote_key));
  }
  peer_ = peer;
  phone_address_ = address.storage;
  phone_address_size_ = address.size;
  connected_ = true;
  last_heard_ns_ = last_sound_ns_ = now_ns;
  next_report_ns_ = now_ns + kSecond / 2;
  silence_told_ = false;
  return {};
}

void Leg::set_bridge_port(std::uint16_t port) {
  bridged_ = false;
  // Never disconnected when the mixer goes: the kernel would take the port away, which it chose.
  if (port == 0) return;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  // Connected, the socket takes packets of the mixer alone; what strangers put in before is thrown
  // away.
  bridged_ = ::connect(bridge_fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  std::uint8_t dropped[1];
  for (int i = 0; i < 1000 && recv(bridge_fd_, dropped, sizeof dropped, MSG_DONTWAIT) >= 0; ++i) {
  }
  // The mixer gives its sound only to whom it has heard. A phone that is muted, on hold or silent
  // from the start must hear the others all the same.
  for (std::uint32_t i = kPrimers; i > 0; --i) {
    to_bridge(kSilence, merger_.next_timestamp() - i * 960);
  }
}

void Leg::set_muted(bool muted) { muted_ = muted; }

bool Leg::on_phone(std::int64_t now_ns) noexcept {
  bool changed = false;
  Buffer buffer;
  for (int i = 0; i < kReadsAtOnce; ++i) {
    sockaddr_storage from{};
    socklen_t from_size = sizeof from;
    const ssize_t got = recvfrom(phone_fd_, buffer.data(), media::kMaxDatagramBytes, MSG_TRUNC,
                                 reinterpret_cast<sockaddr*>(&from), &from_size);
    if (got < 0) break;
    const auto size = static_cast<std::size_t>(got);
    if (!connected_ || size > media::kMaxDatagramBytes || size < media::kRtpHeaderBytes) {
      ++stats_.rejected;
      continue;
    }
    const std::span<std::uint8_t> bytes(buffer);
    // Without SRTP the address is all that tells the peer from a stranger.
    if (srtp_ == nullptr && !same_address(from, phone_address_)) {
      ++stats_.rejected;
      continue;
    }
    if (media::looks_like_rtcp(bytes.first(size))) {
      on_phone_rtcp(bytes, size, now_ns);
    } else {
      changed = on_phone_rtp(bytes, size, from, from_size, now_ns) || changed;
    }
  }
  return changed;
}

bool Leg::on_phone_rtp(std::span<std::uint8_t> buffer, std::size_t size,
                       const sockaddr_storage& from, socklen_t from_size,
                       std::int64_t now_ns) noexcept {
  if (srtp_ != nullptr && srtp_->unprotect_rtp(buffer, size) != media::SrtpSession::Outcome::kOk) {
    ++stats_.rejected;
    return false;
  }
  const auto packet = media::parse_rtp(buffer.first(size));
  if (!packet || packet->header.payload_type != peer_.receive_payload_type ||
      packet->payload.empty()) {
    ++stats_.rejected;
    return false;
  }
  using Verdict = media::ReceiverStatistics::Verdict;
  const auto verdict = received_.update(packet->header.ssrc, packet->header.sequence,
                                        packet->header.timestamp, now_ns);
  if (verdict == Verdict::kRejected) return false;
  if (verdict == Verdict::kRestart) merger_.restart();
  ++stats_.from_phone;
  last_heard_ns_ = last_sound_ns_ = now_ns;
  // It passed authentication, so this is where the phone really is, behind whatever translator.
  if (from_size <= sizeof phone_address_) {
    phone_address_ = from;
    phone_address_size_ = from_size;
  }
  const bool changed = !muted_ && talk_.packet(packet->payload);
  merger_.push(packet->payload, packet->header.timestamp, now_ns, received_.jitter_ms());
  return changed;
}

void Leg::on_phone_rtcp(std::span<std::uint8_t> buffer, std::size_t size,
                        std::int64_t now_ns) noexcept {
  if (srtp_ != nullptr && srtp_->unprotect_rtcp(buffer, size) != media::SrtpSession::Outcome::kOk) {
    ++stats_.rejected;
    return;
  }
  const auto compound = media::parse_rtcp(buffer.first(size));
  if (!compound) return;
  last_heard_ns_ = now_ns;
  if (compound->sender) {
    last_sr_ = media::ntp_middle(compound->sender->ntp);
    last_sr_ns_ = now_ns;
    have_sr_ = true;
  }
  for (const auto& block : compound->reports()) {
    if (block.ssrc != downlink_ssrc_) continue;
    if (const auto rtt = media::round_trip_ms(block, ntp_now())) stats_.rtt_ms = *rtt;
  }
}

void Leg::to_bridge(std::span<const std::uint8_t> payload, std::uint32_t timestamp) noexcept {
  if (!bridged_) return;
  // Silence rather than nothing: the mixer's queue stays in step for the moment of unmuting.
  if (muted_) payload = kSilence;
  std::array<std::uint8_t, 2 * OpusMerger::kMaxPayload + 64> out;
  RtpHeader header;
  header.payload_type = Bridge::kPayloadType;
  header.sequence = uplink_sequence_++;
  header.timestamp = timestamp;
  header.ssrc = uplink_ssrc_;
  const std::size_t size = media::write_rtp(header, payload, out);
  if (size > 0 && send(bridge_fd_, out.data(), size, MSG_DONTWAIT) > 0) ++stats_.to_bridge;
}

void Leg::on_bridge(std::int64_t now_ns) noexcept {
  Buffer in;
  Buffer out;
  for (int i = 0; i < kReadsAtOnce; ++i) {
    const ssize_t got = recv(bridge_fd_, in.data(), media::kMaxDatagramBytes, MSG_DONTWAIT);
    if (got < 0) {
      if (errno == ECONNREFUSED) continue;  // the mixer is away; told once for each packet sent
      break;
    }
    if (!bridged_ || !connected_) continue;
    const auto packet = media::parse_rtp(std::span(in).first(static_cast<std::size_t>(got)));
    if (!packet || packet->payload.empty()) continue;
    ++stats_.from_bridge;
    if (!sends(peer_.direction)) continue;
    if (downlink_ns_ == 0 || packet->header.ssrc != mixer_ssrc_) {
      // A new mixer continues where the old one left off, in the time that has really passed.
      const std::int64_t passed = downlink_ns_ == 0 ? 0 : now_ns - downlink_ns_;
      const auto slots = static_cast<std::uint32_t>(std::max<std::int64_t>(1, passed / 20'000'000));
      mixer_offset_ = downlink_timestamp_ + slots * 960 - packet->header.timestamp;
      mixer_ssrc_ = packet->header.ssrc;
    }
    RtpHeader header;
    header.payload_type = peer_.send_payload_type;
    header.marker = downlink_ns_ == 0;
    header.sequence = downlink_sequence_++;
    header.timestamp = packet->header.timestamp + mixer_offset_;
    header.ssrc = downlink_ssrc_;
    downlink_timestamp_ = header.timestamp;
    downlink_ns_ = now_ns;
    const std::size_t size =
        media::write_rtp(header, packet->payload, std::span(out).first(media::kMaxDatagramBytes));
    if (size == 0) continue;
    octets_ += static_cast<std::uint32_t>(packet->payload.size());
    if (protect_and_send(out, size, false) > 0) ++stats_.to_phone;
  }
}

std::size_t Leg::protect_and_send(std::span<std::uint8_t> buffer, std::size_t size,
                                  bool rtcp) noexcept {
  if (srtp_ != nullptr) {
    size = rtcp ? srtp_->protect_rtcp(buffer, size) : srtp_->protect_rtp(buffer, size);
  }
  if (size == 0) return 0;
  const ssize_t sent =
      sendto(phone_fd_, buffer.data(), size, MSG_DONTWAIT,
             reinterpret_cast<const sockaddr*>(&phone_address_), phone_address_size_);
  return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

void Leg::send_report(std::int64_t now_ns, bool bye) noexcept {
  media::RtcpCompound compound;
  compound.ssrc = downlink_ssrc_;
  compound.cname = kCname;
  compound.bye = bye;
  if (stats_.to_phone > 0) {
    const std::uint64_t ntp = ntp_now();
    const auto since = static_cast<std::uint32_t>((now_ns - downlink_ns_) * 48 / 1'000'000);
    compound.sender = media::RtcpSenderInfo{ntp, downlink_timestamp_ + since,
                                            static_cast<std::uint32_t>(stats_.to_phone), octets_};
  }
  if (received_.started()) {
    auto& block = compound.blocks[0];
    compound.block_count = 1;
    block.ssrc = received_.ssrc();
    block.fraction_lost = received_.take_fraction_lost();
    block.cumulative_lost = static_cast<std::int32_t>(
        std::clamp<std::int64_t>(received_.cumulative_lost(), -0x800000, 0x7fffff));
    block.highest_sequence = received_.highest_sequence();
    block.jitter = received_.jitter_units();
    if (have_sr_) {
      block.last_sr = last_sr_;
      block.delay_since_last_sr =
          static_cast<std::uint32_t>((now_ns - last_sr_ns_) / 1000 * 65536 / 1'000'000);
    }
  }
  Buffer out;
  const std::size_t size =
      media::write_rtcp(compound, std::span(out).first(media::kMaxDatagramBytes));
  if (size > 0) protect_and_send(out, size, true);
}

bool Leg::on_time(std::int64_t now_ns) noexcept {
  if (!connected_) return false;
  merger_.tick(now_ns);
  if (now_ns >= next_report_ns_) {
    next_report_ns_ = now_ns + kReportEvery;
    if (peer_.rtcp_mux) send_report(now_ns, false);
  }
  if (talk_.talking() && (muted_ || now_ns - last_sound_ns_ >= kQuietStep)) {
    const double ms = muted_ ? 1000.0 : static_cast<double>(now_ns - last_sound_ns_) / 1e6;
    last_sound_ns_ = now_ns;
    return talk_.quiet(ms);
  }
  return false;
}

std::int64_t Leg::next_due_ns() const noexcept {
  if (!connected_) return OpusMerger::kNever;
  std::int64_t due = std::min(next_report_ns_, merger_.deadline_ns());
  if (talk_.talking()) due = std::min(due, last_sound_ns_ + 5 * kQuietStep);
  return due;
}

bool Leg::take_silent(std::int64_t now_ns, std::int64_t limit_ns) noexcept {
  if (!connected_ || silence_told_ || now_ns - last_heard_ns_ < limit_ns) return false;
  silence_told_ = true;
  return true;
}

void Leg::say_bye(std::int64_t now_ns) noexcept {
  if (connected_ && peer_.rtcp_mux) send_report(now_ns, true);
}

LegStats Leg::stats() const {
  LegStats out = stats_;
  out.lost = received_.lost();
  out.concealed_halves =
      merger_.counters().half_lost + 2 * merger_.counters().fillers + merger_.counters().mode_break;
  out.jitter_ms = received_.jitter_ms();
  out.talking = talk_.talking();
  return out;
}

}  // namespace conclave::service
