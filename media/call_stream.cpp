// SPDX-License-Identifier: Apache-2.0
#include "media/call_stream.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <ctime>
#include <mutex>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "base/realtime.h"
#include "media/downlink_pacer.h"
#include "media/jitter/jitter_buffer.h"
#include "media/opus/opus_codec.h"
#include "media/quality.h"
#include "media/rtp/rtp_session.h"
#include "media/udp_socket.h"

namespace conclave::media {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1000 * kMs;
constexpr std::uint32_t kHop48 = 480;
constexpr double kCodecDelayMs = 6.5;  // Opus look-ahead

std::int64_t unix_now_ns() noexcept {
  std::timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return static_cast<std::int64_t>(t.tv_sec) * kSecond + t.tv_nsec;
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

class UdpCallStream final : public CallStream {
 public:
  UdpCallStream(CallStreamConfig config, AudioFrameRing& uplink, AudioFrameRing& downlink)
      : config_(std::move(config)), uplink_(uplink), downlink_(downlink) {}
  ~UdpCallStream() override { stop(); }

  Status open();
  std::uint16_t local_port() const override { return socket_->port(); }
  Status start(const MediaPeer& peer) override;
  Status update(const MediaPeer& peer) override;
  void stop() override;
  void set_muted(bool muted) override { muted_.store(muted, std::memory_order_relaxed); }
  CallStats stats() const override {
    const std::lock_guard lock(stats_mutex_);
    return shared_stats_;
  }

 private:
  Result<UdpAddress> address_of(const MediaPeer& peer, std::uint16_t port) const;
  Status apply(const MediaPeer& peer);  // media thread, or before it runs
  int bitrate_for(const MediaPeer& peer) const;
  void run() noexcept;
  void wait(std::int64_t until_ns) noexcept;
  void take_datagrams() noexcept;
  void take_datagram(std::span<std::uint8_t> datagram, const UdpAddress& from,
                     std::int64_t now_ns) noexcept;
  void send_uplink() noexcept;
  void send_frame(const AudioFrame& frame) noexcept;
  void send_packet() noexcept;
  void fill_downlink() noexcept;
  void send_rtcp(bool bye) noexcept;
  void take_update() noexcept;
  void publish() noexcept;
  void wake() noexcept;

  const CallStreamConfig config_;
  AudioFrameRing& uplink_;
  AudioFrameRing& downlink_;
  std::unique_ptr<UdpSocket> socket_;
  FileDescriptor timer_{timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)};
  FileDescriptor event_{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> muted_{false};
  std::mutex update_mutex_;
  std::optional<MediaPeer> update_;  // guarded by update_mutex_
  mutable std::mutex stats_mutex_;
  CallStats shared_stats_;  // guarded by stats_mutex_

  // The media thread's.
  MediaPeer peer_;
  UdpAddress rtp_to_, rtcp_to_;
  bool latched_ = false;
  std::unique_ptr<RtpSession> session_;
  std::unique_ptr<SpeechEncoder> encoder_;
  std::unique_ptr<SpeechDecoder> decoder_;
  std::unique_ptr<JitterBuffer> jitter_;
  DownlinkPacer pacer_;
  RateWindow window_;
  CallStats stats_;
  int frame_samples_ = 480;
  int frames_per_packet_ = 1;
  int frames_collected_ = 0;
  std::array<float, 2 * kMaxFrameSamples> pcm_{};
  alignas(8) std::array<std::uint8_t, kMaxDatagramBytes> out_{};
  alignas(8) std::array<std::uint8_t, kMaxDatagramBytes + 4> in_{};
  std::uint64_t next_uplink_index_ = 0;
  bool uplink_seen_ = false;
  std::uint64_t downlink_index_ = 0;
  std::int64_t filled_ns_ = 0;
  std::int64_t last_received_ns_ = 0;
  std::int64_t rtcp_due_ns_ = 0;
  std::int64_t publish_due_ns_ = 0;
  std::uint32_t random_ = 1;
};

Status UdpCallStream::open() {
  if (config_.sample_rate != 48000 && config_.sample_rate != 16000) {
    return Error{"a call runs at 48000 or 16000 Hz"};
  }
  if (config_.bitrate < 16000 || config_.bitrate > 128000) {
    return Error{"the bit rate must be 16000 to 128000 bit/s"};
  }
  if (config_.dscp < 0 || config_.dscp > 63) return Error{"DSCP must be 0 to 63"};
  if (config_.downlink_frames < 0 || config_.downlink_frames > 4) {
    return Error{"the downlink keeps 1 to 4 frames, or 0 for what the machine needs"};
  }
  if (timer_.get() < 0 || event_.get() < 0) return Error{"no timer: too many open files?"};
  frame_samples_ = config_.sample_rate / 100;
  pacer_ = DownlinkPacer(config_.downlink_frames);
  SpeechEncoderConfig speech;
  speech.sample_rate = config_.sample_rate;
  speech.bitrate = config_.bitrate;
  speech.complexity = config_.complexity;
  CONCLAVE_TRY(encoder_, SpeechEncoder::create(speech));
  CONCLAVE_TRY(decoder_, SpeechDecoder::create(config_.sample_rate));
  CONCLAVE_TRY(jitter_,
               JitterBuffer::create({config_.min_delay_ms, config_.max_delay_ms}, *decoder_));
  CONCLAVE_TRY(socket_, UdpSocket::bind(config_.local_address, config_.local_port));
  if (!socket_->set_dscp(config_.dscp)) {
    log::warning("media", "the system did not take the DSCP", {{"dscp", config_.dscp}});
  }
  return {};
}

Result<UdpAddress> UdpCallStream::address_of(const MediaPeer& peer, std::uint16_t port) const {
  CONCLAVE_TRY(const auto address, UdpAddress::parse(peer.address, port));
  if (address.family() != socket_->family()) {
    return Error{"the peer's address is of another IP version than ours"};
  }
  if (port == 0) return Error{"the peer's port is 0"};
  return address;
}

int UdpCallStream::bitrate_for(const MediaPeer& peer) const {
  return peer.max_bitrate > 0 ? std::min(config_.bitrate, peer.max_bitrate) : config_.bitrate;
}

Status UdpCallStream::apply(const MediaPeer& peer) {
  CONCLAVE_TRY(const auto rtp, address_of(peer, peer.port));
  CONCLAVE_TRY(const auto rtcp, address_of(peer, peer.rtcp_mux ? peer.port : peer.rtcp_port));
  if (!session_) {
    RtpSessionConfig config;
    config.cname = config_.cname;
    CONCLAVE_TRY(session_, RtpSession::create(config));
  }
  CONCLAVE_CHECK_STATUS(session_->set_keys(peer.local_key, peer.remote_key));
  session_->set_payload_types(peer.send_payload_type, peer.receive_payload_type);
  encoder_->set_bitrate(bitrate_for(peer));
  frames_per_packet_ = peer.ptime_ms >= 20 ? 2 : 1;
  frames_collected_ = 0;
  rtp_to_ = rtp;
  rtcp_to_ = rtcp;
  latched_ = false;
  peer_ = peer;
  return {};
}

Status UdpCallStream::start(const MediaPeer& peer) {
  if (thread_.joinable()) return Error{"the call stream runs already"};
  CONCLAVE_CHECK_STATUS(apply(peer));
  stopping_ = false;
  random_ = session_->ssrc() | 1;
  thread_ = std::thread([this] { run(); });
  return {};
}

Status UdpCallStream::update(const MediaPeer& peer) {
  if (!thread_.joinable()) return Error{"the call stream does not run"};
  CONCLAVE_TRY([[maybe_unused]] const auto address, address_of(peer, peer.port));
  if (peer.local_key.has_value() != peer.remote_key.has_value() ||
      (peer.local_key && peer.local_key->suite() != peer.remote_key->suite())) {
    return Error{"SRTP needs the keys of both directions, of one suite"};
  }
  {
    const std::lock_guard lock(update_mutex_);
    update_ = peer;
  }
  wake();
  return {};
}

void UdpCallStream::stop() {
  stopping_ = true;
  wake();
  if (thread_.joinable()) thread_.join();
}

void UdpCallStream::wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = write(event_.get(), &one, sizeof one);
}

void UdpCallStream::run() noexcept {
  if (config_.priority > 0) {
    const auto setup = realtime::prepare_thread(config_.priority);
    if (!setup.fifo) log::info("media", "no real-time priority for the call's thread");
  }
  const auto begin = SystemClock::now();
  // Frames that waited while nobody took them are from before the call.
  AudioFrame old;
  while (uplink_.try_pop(old)) {
  }
  rtcp_due_ns_ = begin + kSecond / 2;
  publish_due_ns_ = begin;
  filled_ns_ = begin;
  std::int64_t planned = begin;
  while (!stopping_.load(std::memory_order_acquire)) {
    const auto now = SystemClock::now();
    if (now >= planned) pacer_.woke(planned, now);
    take_update();
    take_datagrams();
    send_uplink();
    fill_downlink();
    if (now >= rtcp_due_ns_) send_rtcp(false);
    if (now >= publish_due_ns_) publish();
    planned = pacer_.next_look_ns(SystemClock::now());
    wait(planned);
  }
  send_rtcp(true);
  publish();
}

void UdpCallStream::wait(std::int64_t until_ns) noexcept {
  itimerspec when{};
  when.it_value.tv_sec = until_ns / kSecond;
  when.it_value.tv_nsec = until_ns % kSecond;
  timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
  std::array<pollfd, 3> fds{
      {{socket_->fd(), POLLIN, 0}, {timer_.get(), POLLIN, 0}, {event_.get(), POLLIN, 0}}};
  poll(fds.data(), fds.size(), 100);
  std::uint64_t count = 0;
  if (fds[2].revents != 0) [[maybe_unused]]
    const auto n = read(event_.get(), &count, sizeof count);
}

void UdpCallStream::take_update() noexcept {
  std::optional<MediaPeer> peer;
  {
    const std::unique_lock lock(update_mutex_, std::try_to_lock);
    if (!lock.owns_lock() || !update_) return;
    peer.swap(update_);
  }
  if (auto status = apply(*peer); !status) {
    log::warning("media", "the call's new terms were refused", {{"why", status.error().message}});
  }
}

void UdpCallStream::take_datagrams() noexcept {
  // A flood must not keep the thread from the other rings.
  for (int i = 0; i < 64; ++i) {
    UdpAddress from;
    const auto size = socket_->receive(std::span(in_).first(kMaxDatagramBytes), from);
    if (size < 0) return;
    if (static_cast<std::size_t>(size) > kMaxDatagramBytes) {
      ++stats_.rx_malformed;
      continue;
    }
    take_datagram(std::span(in_).first(static_cast<std::size_t>(size)), from, SystemClock::now());
  }
}

void UdpCallStream::take_datagram(std::span<std::uint8_t> datagram, const UdpAddress& from,
                                  std::int64_t now_ns) noexcept {
  const bool known = from == rtp_to_ || (!peer_.rtcp_mux && from == rtcp_to_);
  const bool may_latch = config_.latching && !latched_;
  if (!known && !may_latch) {
    ++stats_.rx_foreign;
    return;
  }
  const std::size_t size = datagram.size();
  RtpPacket packet;
  const auto kind = session_->receive(datagram, now_ns, unix_now_ns(), packet);
  switch (kind) {
    case RtpSession::Kind::kForged:
    case RtpSession::Kind::kReplayed:
      ++stats_.srtp_failures;
      return;
    case RtpSession::Kind::kMalformed:
      ++stats_.rx_malformed;
      return;
    case RtpSession::Kind::kOther:
      return;
    case RtpSession::Kind::kRestarted:
      jitter_->restart();
      break;
    case RtpSession::Kind::kAudio:
      break;
  }
  if (may_latch) {
    // Its first packet that passed every check shows where the peer really is, behind its NAT.
    latched_ = true;
    rtp_to_ = from;
    if (peer_.rtcp_mux) rtcp_to_ = from;
  }
  ++stats_.rx_packets;
  stats_.rx_bytes += size;
  last_received_ns_ = now_ns;
  if (receives(peer_.direction)) jitter_->insert(packet.header, packet.payload, now_ns);
}

void UdpCallStream::send_uplink() noexcept {
  while (const AudioFrame* frame = uplink_.begin_pop()) {
    pacer_.moved(SystemClock::now());
    if (frame->samples == frame_samples_) send_frame(*frame);
    uplink_.end_pop();
  }
}

void UdpCallStream::send_frame(const AudioFrame& frame) noexcept {
  // Frames that were dropped for want of room leave their time empty.
  const std::uint64_t skipped =
      uplink_seen_ && frame.index > next_uplink_index_ ? frame.index - next_uplink_index_ : 0;
  if (skipped > 0) {
    session_->skip(static_cast<std::uint32_t>(std::min<std::uint64_t>(skipped, 500)) * kHop48);
    frames_collected_ = 0;
  }
  uplink_seen_ = true;
  next_uplink_index_ = frame.index + 1;
  if (!sends(peer_.direction)) {
    session_->skip(kHop48);
    return;
  }
  const bool silent =
      muted_.load(std::memory_order_relaxed) || (frame.flags & kAudioFrameSilence) != 0;
  const auto at = pcm_.begin() + frames_collected_ * frame_samples_;
  if (silent) {
    std::fill_n(at, frame_samples_, 0.0F);
  } else {
    std::copy_n(frame.data.begin(), frame_samples_, at);
  }
  if (++frames_collected_ < frames_per_packet_) return;
  send_packet();
  frames_collected_ = 0;
}

void UdpCallStream::send_packet() noexcept {
  const auto sound = std::span<const float>(pcm_).first(
      static_cast<std::size_t>(frames_collected_ * frame_samples_));
  const auto room = std::span(out_).subspan(
      RtpSession::kPayloadAt, out_.size() - RtpSession::kPayloadAt - SrtpSession::kTrailerBytes);
  const std::size_t payload = encoder_->encode(sound, room);
  const auto duration = static_cast<std::uint32_t>(frames_collected_) * kHop48;
  if (payload == 0) return session_->skip(duration);
  const std::size_t size = session_->finish_rtp(out_, payload, duration);
  if (size == 0 || !socket_->send(std::span(out_).first(size), rtp_to_)) {
    ++stats_.tx_errors;
    return;
  }
  ++stats_.tx_packets;
  stats_.tx_bytes += size;
}

void UdpCallStream::fill_downlink() noexcept {
  const std::size_t wanted = std::min(pacer_.frames(), downlink_.capacity());
  const auto now = SystemClock::now();
  const std::size_t there = downlink_.size();
  if (there >= wanted) return;
  // Each frame kept lasts 10 ms; one period more, and somebody found nothing.
  if (there == 0 && downlink_index_ > 0 &&
      now - filled_ns_ > static_cast<std::int64_t>(wanted + 1) * 10 * kMs) {
    ++stats_.underruns;
  }
  for (std::size_t i = there; i < wanted; ++i) {
    AudioFrame* frame = downlink_.begin_push();
    if (frame == nullptr) break;
    frame->index = downlink_index_++;
    frame->time_ns = now;
    frame->samples = frame_samples_;
    const auto pulled =
        jitter_->pull(std::span(frame->data).first(static_cast<std::size_t>(frame_samples_)), now);
    frame->flags = pulled == JitterBuffer::Pulled::kSilence     ? kAudioFrameSilence
                   : pulled == JitterBuffer::Pulled::kConcealed ? kAudioFrameConcealed
                                                                : 0;
    downlink_.end_push();
  }
  filled_ns_ = now;
  pacer_.moved(now);
}

void UdpCallStream::send_rtcp(bool bye) noexcept {
  const auto now = SystemClock::now();
  const std::size_t size = session_->make_rtcp(out_, now, unix_now_ns(), bye);
  if (size != 0) socket_->send(std::span(out_).first(size), rtcp_to_);
  // 1 to 3 s, so that many calls do not report in step (RFC 3550, 6.2).
  random_ ^= random_ << 13, random_ ^= random_ >> 17, random_ ^= random_ << 5;
  rtcp_due_ns_ = now + kSecond + static_cast<std::int64_t>(random_ % 2000) * kMs;
}

void UdpCallStream::publish() noexcept {
  const auto now = SystemClock::now();
  publish_due_ns_ = now + 100 * kMs;
  const auto jitter = jitter_->metrics();
  const auto& received = session_->received();
  const auto& report = session_->report();
  CallStats& s = stats_;
  s.rx_lost = received.lost();
  s.rx_late = jitter.late;
  s.rx_duplicate = jitter.duplicate;
  s.rx_reordered = jitter.reordered;
  s.rtcp_rx = report.rtcp_received;
  s.rtcp_tx = report.rtcp_sent;
  s.remote_loss_percent = report.remote_loss_percent;
  s.remote_jitter_ms = report.remote_jitter_ms;
  s.jitter_ms = received.jitter_ms();
  s.rtt_ms = report.rtt_ms;
  s.buffer_ms = jitter.buffer_ms;
  s.target_ms = jitter.target_ms;
  s.concealed_ms = jitter.concealed_ms;
  s.accelerated_ms = jitter.accelerated_ms;
  s.expanded_ms = jitter.expanded_ms;
  s.drift_ppm = jitter.drift_ppm;
  s.receiving = s.rx_packets > 0 && now - last_received_ns_ < kSecond;
  s.secured = session_->secured();
  s.delay_ms = std::max(s.rtt_ms, 0.0) / 2 + 10.0 * frames_per_packet_ + kCodecDelayMs +
               jitter.delay_ms + 10.0 * static_cast<double>(pacer_.frames());
  const auto rates =
      window_.update(now, {s.rx_packets, s.rx_lost, s.concealed_ms, s.tx_bytes, s.rx_bytes});
  s.loss_percent = rates.loss_percent;
  s.tx_kbps = rates.tx_kbps;
  s.rx_kbps = rates.rx_kbps;
  s.mos = s.rx_packets == 0
              ? 0
              : estimate_mos(s.delay_ms, std::max(rates.concealed_percent, rates.loss_percent));
  CallStats copy = s;
  copy.rx_malformed += jitter.malformed;
  // A reader that holds the lock now gets the next one.
  if (std::unique_lock guard(stats_mutex_, std::try_to_lock); guard.owns_lock()) {
    shared_stats_ = copy;
  } else {
    publish_due_ns_ = now + kMs;
  }
}

}  // namespace

Result<std::unique_ptr<CallStream>> CallStream::create(const CallStreamConfig& config,
                                                       AudioFrameRing& uplink,
                                                       AudioFrameRing& downlink) {
  auto stream = std::make_unique<UdpCallStream>(config, uplink, downlink);
  CONCLAVE_CHECK_STATUS(stream->open());
  return std::unique_ptr<CallStream>(std::move(stream));
}

}  // namespace conclave::media
