// SPDX-License-Identifier: Apache-2.0
#include "bench/room/card_stream.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>

namespace conclave::bench::room {
namespace {

using drivers::room::Direction;
using drivers::room::Plug;
using drivers::room::Position;
using drivers::room::SharedHeader;
using drivers::room::Welcome;

constexpr std::uint32_t kRingFrames = 65536;
/// How long the second start of a card may come after the first. In virtual time waiting costs
/// nobody anything but a busy machine's patience.
constexpr std::int64_t kPartnerNs = 20'000'000;
constexpr std::int64_t kPartnerVirtualNs = 4'000'000'000;

}  // namespace

Result<std::unique_ptr<CardStream>> CardStream::open(const Shape& shape) {
  std::unique_ptr<CardStream> stream(new CardStream);
  stream->shape_ = shape;
  stream->ring_frames_ = kRingFrames;
  stream->bytes_ =
      drivers::room::shared_bytes(kRingFrames, static_cast<std::uint32_t>(shape.channels));
  stream->memory_ = memfd_create("conclave-room", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  stream->event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const auto failed = [](const char* what) {
    return Error{std::string("room: ") + what + ": " + std::strerror(errno)};
  };
  if (stream->memory_ < 0 || stream->event_ < 0) return failed("no descriptors");
  if (ftruncate(stream->memory_, static_cast<off_t>(stream->bytes_)) != 0 ||
      fcntl(stream->memory_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return failed("no shared memory");
  }
  void* mapped =
      mmap(nullptr, stream->bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, stream->memory_, 0);
  if (mapped == MAP_FAILED) return failed("shared memory cannot be mapped");
  stream->header_ = new (mapped) SharedHeader;
  stream->samples_ =
      reinterpret_cast<float*>(static_cast<char*>(mapped) + drivers::room::kSampleOffset);
  return stream;
}

CardStream::~CardStream() {
  if (header_ != nullptr) munmap(header_, bytes_);
  if (memory_ >= 0) ::close(memory_);
  if (event_ >= 0) ::close(event_);
}

Status CardStream::welcome(int socket) const {
  Welcome welcome;
  welcome.sample_rate = static_cast<std::uint32_t>(shape_.sample_rate);
  welcome.channels = static_cast<std::uint32_t>(shape_.channels);
  welcome.ring_frames = ring_frames_;
  welcome.block_frames = static_cast<std::uint32_t>(shape_.block_frames);
  welcome.virtual_time = shape_.virtual_time ? 1 : 0;
  welcome.bytes = bytes_;
  const std::array<int, 2> descriptors{memory_, event_};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(descriptors))> control{};
  iovec data{&welcome, sizeof(welcome)};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(descriptors));
  std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof(descriptors));
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof(welcome)))
    return Error{"room: a client went away while it was greeted"};
  return {};
}

void CardStream::observe() noexcept {
  client_ = Position::unpack(header_->client_position.load(std::memory_order_acquire));
}

bool CardStream::waits_for(const CardStream* partner, std::int64_t now_ns) noexcept {
  const bool fresh = client_.running && !(running_ && client_.generation == generation_);
  if (!fresh || partner == nullptr || partner->client_.running) {
    waiting_since_ns_ = 0;
    return false;
  }
  if (waiting_since_ns_ == 0) waiting_since_ns_ = now_ns;
  return now_ns - waiting_since_ns_ < (shape_.virtual_time ? kPartnerVirtualNs : kPartnerNs);
}

void CardStream::follow(const CardStream* partner, std::int64_t now_ns) noexcept {
  if (!client_.running) {
    running_ = false;
    waiting_since_ns_ = 0;
    return;
  }
  if (running_ && client_.generation == generation_) return;
  if (waits_for(partner, now_ns)) {
    running_ = false;
    return;
  }
  running_ = true;
  late_ = false;
  generation_ = client_.generation;
  position_ = 0;
}

void CardStream::take(FrameView block) noexcept {
  const auto frames = static_cast<std::uint64_t>(block.frames());
  std::uint64_t there = 0;
  if (running_) {
    // Bounded: a client that lies about its position plays old samples, nothing worse.
    there = client_.frames > position_ ? std::min(client_.frames - position_, frames) : 0;
    const bool late = there < frames;
    if (late && !late_) ++underruns_;
    late_ = late;
  }
  const std::uint64_t mask = ring_frames_ - 1;
  const auto channels = static_cast<std::uint64_t>(shape_.channels);
  for (int c = 0; c < block.channels(); ++c) {
    const auto to = block[c];
    for (std::uint64_t i = 0; i < frames; ++i) {
      float x = 0;
      if (i < there) {
        x = samples_[((position_ + i) & mask) * channels + static_cast<std::uint64_t>(c)];
        // Full scale is full scale; and no client may poison the room's filters.
        x = x >= -1.0F && x <= 1.0F ? x : (x > 1.0F ? 1.0F : (x < -1.0F ? -1.0F : 0.0F));
      }
      to[i] = x;
    }
  }
  if (running_) position_ += frames;
}

void CardStream::give(ConstFrameView in) noexcept {
  if (!running_) return;
  const std::uint64_t mask = ring_frames_ - 1;
  const auto channels = static_cast<std::uint64_t>(shape_.channels);
  const auto frames = static_cast<std::uint64_t>(in.frames());
  for (int c = 0; c < in.channels(); ++c) {
    const auto from = in[c];
    for (std::uint64_t i = 0; i < frames; ++i)
      samples_[((position_ + i) & mask) * channels + static_cast<std::uint64_t>(c)] = from[i];
  }
  position_ += frames;
}

void CardStream::publish(std::int64_t now_ns) noexcept {
  header_->room_time_ns.store(now_ns, std::memory_order_relaxed);
  if (!running_) return;
  header_->room_position.store(Position{generation_, true, position_}.pack(),
                               std::memory_order_release);
  const std::uint64_t wanted = header_->wake_frames.load(std::memory_order_relaxed);
  const std::uint64_t application = client_.frames;
  bool enough = true;
  if (shape_.direction == Direction::kCapture) {
    enough = position_ >= application + wanted;
  } else if (application > position_) {
    const std::uint64_t buffer = header_->buffer_frames.load(std::memory_order_relaxed);
    enough = application - position_ + wanted <= buffer;
  }
  if (enough) wake();
}

bool CardStream::can_move(int frames) const noexcept {
  if (!client_.running || (running_ && client_.generation != generation_)) return true;
  if (header_->xrun.load(std::memory_order_relaxed) == std::uint32_t{client_.generation} + 1)
    return true;
  const std::uint64_t at = running_ ? position_ : 0;
  const auto step = static_cast<std::uint64_t>(frames);
  if (shape_.direction == Direction::kPlayback) return client_.frames >= at + step;
  const std::uint64_t buffer = header_->buffer_frames.load(std::memory_order_relaxed);
  return at + step <= client_.frames + buffer;
}

void CardStream::unplug() noexcept {
  header_->plug.store(Plug::kUnplugged, std::memory_order_release);
  wake();
}

void CardStream::break_stream() noexcept {
  header_->xrun.store(std::uint32_t{client_.generation} + 1, std::memory_order_release);
  wake();
}

void CardStream::wake() noexcept {
  const std::uint64_t one = 1;
  (void)!::write(event_, &one, sizeof(one));
}

}  // namespace conclave::bench::room
