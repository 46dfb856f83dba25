// SPDX-License-Identifier: Apache-2.0
// The ALSA plugin `type room`: a sound card of the virtual room, as any ALSA program sees one.
//
//   pcm.conclave_ring { type room socket "/dir/room.sock" card "ring" }
//
// It only moves samples between the application's buffer and shared memory and tells positions; the
// room is computed in its own process. See room_protocol.h for what the two say to each other.
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <new>

#include "drivers/room/room_protocol.h"

namespace {

using namespace conclave::drivers::room;  // NOLINT: this file is the other half of that header

constexpr std::int64_t kSilenceNs = 100'000'000;  // after this, ask whether the room still lives
constexpr int kAnswerTimeoutMs = 1000;

std::int64_t now_ns() {
  std::timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

struct Card {
  snd_pcm_ioplug_t io{};
  Welcome welcome;
  int socket = -1;
  int event = -1;
  SharedHeader* header = nullptr;
  float* samples = nullptr;
  std::uint16_t generation = 0;
  bool running = false;
  std::uint64_t told = 0;  // last client word, so that virtual time is rung only for news
  std::uint64_t last_hardware = 0;
  std::int64_t asked_ns = 0;
  snd_pcm_uframes_t wake = 1;
  snd_pcm_uframes_t stop_threshold = 0;

  Card() = default;
  Card(const Card&) = delete;
  Card& operator=(const Card&) = delete;
  ~Card() {
    if (header != nullptr) munmap(header, welcome.bytes);
    if (event >= 0) ::close(event);
    if (socket >= 0) ::close(socket);
  }

  bool capture() const { return io.stream == SND_PCM_STREAM_CAPTURE; }

  /// The room's position in this life of the stream; bounded, as it comes from outside.
  std::uint64_t hardware() {
    const Position at = Position::unpack(header->room_position.load(std::memory_order_acquire));
    if (at.generation == generation && at.frames >= last_hardware) last_hardware = at.frames;
    return last_hardware;
  }

  void publish(std::uint64_t frames) {
    const std::uint64_t word = Position{generation, running, frames}.pack();
    if (word == told) return;
    told = word;
    header->client_position.store(word, std::memory_order_release);
    // In virtual time the room waits for its clients; in real time nobody reads this.
    if (welcome.virtual_time != 0) {
      const char bell = 1;
      (void)!::send(socket, &bell, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
  }

  bool gone() {
    if (header->plug.load(std::memory_order_acquire) != Plug::kPlugged) return true;
    const std::int64_t now = now_ns();
    const std::int64_t heard = header->room_time_ns.load(std::memory_order_relaxed);
    if (now - heard < kSilenceNs || now - asked_ns < kSilenceNs) return false;
    asked_ns = now;
    return hung_up();
  }

  bool hung_up() {
    char byte = 0;
    const ssize_t got = ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
      header->plug.store(Plug::kUnplugged, std::memory_order_release);
      return true;
    }
    return false;
  }

  bool broken(std::uint64_t hardware_frames) {
    if (header->xrun.load(std::memory_order_acquire) == std::uint32_t{generation} + 1) return true;
    if (stop_threshold > io.buffer_size) return false;  // the application wants to run on
    const std::uint64_t application = io.appl_ptr;
    if (capture()) return hardware_frames > application + io.buffer_size;
    return hardware_frames > application && io.state != SND_PCM_STATE_DRAINING;
  }
};

Card& card_of(snd_pcm_ioplug_t* io) { return *static_cast<Card*>(io->private_data); }

// Moves `count` frames of all channels; `areas` describe the application's memory.
template <typename Copy>
void for_each_sample(Card& card, const snd_pcm_channel_area_t* areas, snd_pcm_uframes_t offset,
                     snd_pcm_uframes_t count, std::uint64_t at, Copy copy) {
  const std::uint64_t mask = card.welcome.ring_frames - 1;
  const std::uint32_t channels = card.welcome.channels;
  for (std::uint32_t c = 0; c < channels; ++c) {
    const std::size_t step = areas[c].step / 8;
    char* memory = static_cast<char*>(areas[c].addr) + areas[c].first / 8 + offset * step;
    for (snd_pcm_uframes_t i = 0; i < count; ++i, memory += step) {
      copy(memory, card.samples[((at + i) & mask) * channels + c]);
    }
  }
}

template <typename Integer>
Integer quantise(float sample) {
  constexpr double kScale = sizeof(Integer) == 2 ? 32768.0 : 2147483648.0;
  const double scaled = static_cast<double>(sample) * kScale;
  if (!(scaled > -kScale)) return static_cast<Integer>(-kScale);
  return static_cast<Integer>(scaled >= kScale - 1 ? kScale - 1 : std::nearbyint(scaled));
}

template <typename Integer>
float scale(Integer sample) {
  constexpr float kScale = sizeof(Integer) == 2 ? 1.0F / 32768.0F : 1.0F / 2147483648.0F;
  return static_cast<float>(sample) * kScale;
}

template <typename T>
void move(Card& card, const snd_pcm_channel_area_t* areas, snd_pcm_uframes_t offset,
          snd_pcm_uframes_t count) {
  const std::uint64_t at = card.io.appl_ptr;
  if (card.capture()) {
    for_each_sample(card, areas, offset, count, at, [](char* memory, const float& shared) {
      T value{};
      if constexpr (std::is_same_v<T, float>) {
        value = shared;
      } else {
        value = quantise<T>(shared);
      }
      std::memcpy(memory, &value, sizeof(T));
    });
  } else {
    for_each_sample(card, areas, offset, count, at, [](const char* memory, float& shared) {
      T value{};
      std::memcpy(&value, memory, sizeof(T));
      if constexpr (std::is_same_v<T, float>) {
        shared = value;
      } else {
        shared = scale<T>(value);
      }
    });
  }
}

/// Interleaved floats, what the phone uses: both sides have the same layout.
bool move_whole(Card& card, const snd_pcm_channel_area_t* areas, snd_pcm_uframes_t offset,
                snd_pcm_uframes_t count) {
  const std::uint32_t channels = card.welcome.channels;
  for (std::uint32_t c = 0; c < channels; ++c) {
    if (areas[c].addr != areas[0].addr || areas[c].first != c * 32 ||
        areas[c].step != channels * 32) {
      return false;
    }
  }
  const std::uint64_t ring = card.welcome.ring_frames;
  auto* memory = static_cast<float*>(areas[0].addr) + offset * channels;
  for (std::uint64_t at = card.io.appl_ptr; count > 0;) {
    const std::uint64_t first = at & (ring - 1);
    const std::uint64_t run = std::min<std::uint64_t>(count, ring - first);
    float* shared = card.samples + first * channels;
    if (card.capture()) {
      std::memcpy(memory, shared, run * channels * sizeof(float));
    } else {
      std::memcpy(shared, memory, run * channels * sizeof(float));
    }
    memory += run * channels;
    at += run;
    count -= run;
  }
  return true;
}

snd_pcm_sframes_t on_transfer(snd_pcm_ioplug_t* io, const snd_pcm_channel_area_t* areas,
                              snd_pcm_uframes_t offset, snd_pcm_uframes_t size) {
  Card& card = card_of(io);
  if (card.header->plug.load(std::memory_order_acquire) != Plug::kPlugged) return -ENODEV;
  switch (io->format) {
    case SND_PCM_FORMAT_FLOAT_LE:
      if (!move_whole(card, areas, offset, size)) move<float>(card, areas, offset, size);
      break;
    case SND_PCM_FORMAT_S32_LE:
      move<std::int32_t>(card, areas, offset, size);
      break;
    case SND_PCM_FORMAT_S16_LE:
      move<std::int16_t>(card, areas, offset, size);
      break;
    default:
      return -EINVAL;
  }
  if (!card.capture()) card.publish(io->appl_ptr + size);
  return static_cast<snd_pcm_sframes_t>(size);
}

snd_pcm_sframes_t on_pointer(snd_pcm_ioplug_t* io) {
  Card& card = card_of(io);
  const std::uint64_t hardware = card.hardware();
  if (card.gone()) {
    // A negative answer would read as an xrun.
    snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
    return static_cast<snd_pcm_sframes_t>(hardware);
  }
  card.publish(io->appl_ptr);
  if (card.broken(hardware)) return -EPIPE;
  return static_cast<snd_pcm_sframes_t>(hardware);
}

int on_start(snd_pcm_ioplug_t* io) {
  Card& card = card_of(io);
  if (card.gone()) return -ENODEV;
  card.running = true;
  card.publish(io->appl_ptr);
  return 0;
}

int on_stop(snd_pcm_ioplug_t* io) {
  Card& card = card_of(io);
  card.running = false;
  card.publish(io->appl_ptr);
  return 0;
}

int on_prepare(snd_pcm_ioplug_t* io) {
  Card& card = card_of(io);
  if (card.gone()) return -ENODEV;
  ++card.generation;
  card.running = false;
  card.last_hardware = 0;
  card.publish(0);
  return 0;
}

int on_pause(snd_pcm_ioplug_t* /*io*/, int /*enable*/) { return -ENOSYS; }

int on_hw_params(snd_pcm_ioplug_t* io, snd_pcm_hw_params_t* /*params*/) {
  Card& card = card_of(io);
  if (io->buffer_size > card.welcome.ring_frames / 2) return -EINVAL;
  card.header->buffer_frames.store(static_cast<std::uint32_t>(io->buffer_size));
  card.stop_threshold = io->buffer_size;
  return 0;
}

int on_sw_params(snd_pcm_ioplug_t* io, snd_pcm_sw_params_t* params) {
  Card& card = card_of(io);
  snd_pcm_sw_params_get_avail_min(params, &card.wake);
  snd_pcm_sw_params_get_stop_threshold(params, &card.stop_threshold);
  card.header->wake_frames.store(static_cast<std::uint32_t>(
      std::clamp<snd_pcm_uframes_t>(card.wake, 1, card.welcome.ring_frames)));
  return 0;
}

int on_delay(snd_pcm_ioplug_t* io, snd_pcm_sframes_t* delay) {
  Card& card = card_of(io);
  const auto hardware = static_cast<std::int64_t>(card.hardware());
  const auto application = static_cast<std::int64_t>(io->appl_ptr);
  if (card.gone()) return -ENODEV;
  *delay = (card.capture() ? hardware - application : application - hardware) +
           static_cast<std::int64_t>(card.welcome.converter_delay_frames);
  return 0;
}

int on_descriptor_count(snd_pcm_ioplug_t* /*io*/) { return 2; }

int on_descriptors(snd_pcm_ioplug_t* io, pollfd* descriptors, unsigned space) {
  Card& card = card_of(io);
  if (space < 2) return -EINVAL;
  descriptors[0] = {card.event, POLLIN, 0};
  descriptors[1] = {card.socket, 0, 0};  // only its hang-up
  return 2;
}

int on_revents(snd_pcm_ioplug_t* io, pollfd* descriptors, unsigned count, unsigned short* revents) {
  Card& card = card_of(io);
  *revents = 0;
  if (count >= 2 && (descriptors[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
    card.header->plug.store(Plug::kUnplugged);
  if (card.header->plug.load(std::memory_order_acquire) != Plug::kPlugged) {
    snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
    *revents = POLLERR;
    return 0;
  }
  const auto ready = [&] {
    const std::uint64_t hardware = card.hardware();
    const std::uint64_t application = io->appl_ptr;
    if (card.running && card.broken(hardware)) {
      snd_pcm_ioplug_set_state(io, SND_PCM_STATE_XRUN);
      *revents = POLLERR;
      return true;
    }
    const std::uint64_t available =
        card.capture()
            ? hardware - std::min(hardware, application)
            : io->buffer_size - std::min<std::uint64_t>(
                                    io->buffer_size, application - std::min(hardware, application));
    const bool enough = card.capture()
                            ? available >= card.wake
                            : available >= card.wake || io->state == SND_PCM_STATE_DRAINING;
    if (enough) *revents = card.capture() ? POLLIN : POLLOUT;
    return enough;
  };
  // The event stays up while there is something to do, as a card's interrupt would; it is taken
  // down only when there is not, and looked at again in case it came up in between.
  if (ready()) return 0;
  std::uint64_t events = 0;
  (void)!::read(card.event, &events, sizeof(events));
  ready();
  return 0;
}

int on_close(snd_pcm_ioplug_t* io) {
  delete &card_of(io);
  return 0;
}

const snd_pcm_ioplug_callback_t kCallbacks = [] {
  snd_pcm_ioplug_callback_t c{};
  c.start = on_start;
  c.stop = on_stop;
  c.pointer = on_pointer;
  c.transfer = on_transfer;
  c.close = on_close;
  c.hw_params = on_hw_params;
  c.sw_params = on_sw_params;
  c.prepare = on_prepare;
  c.pause = on_pause;
  c.poll_descriptors_count = on_descriptor_count;
  c.poll_descriptors = on_descriptors;
  c.poll_revents = on_revents;
  c.delay = on_delay;
  return c;
}();

/// Hello, Welcome, and the two descriptors. 0 or -errno.
int greet(Card& card, const char* socket_path, const char* name, snd_pcm_stream_t stream) {
  card.socket = connect_socket(socket_path);
  // No room at all looks to a program like a card that is not plugged in.
  if (card.socket < 0) return card.socket == -ENOENT ? -ECONNREFUSED : card.socket;
  Hello hello;
  hello.direction = stream == SND_PCM_STREAM_CAPTURE ? Direction::kCapture : Direction::kPlayback;
  std::strncpy(hello.card.data(), name, hello.card.size() - 1);
  if (::send(card.socket, &hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello)) return -EPIPE;

  pollfd wait{card.socket, POLLIN, 0};
  if (::poll(&wait, 1, kAnswerTimeoutMs) <= 0) return -ETIMEDOUT;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(2 * sizeof(int))> control{};
  iovec data{&card.welcome, sizeof(card.welcome)};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(card.socket, &message, MSG_CMSG_CLOEXEC);
  int memory = -1;
  if (const cmsghdr* header = CMSG_FIRSTHDR(&message);
      header != nullptr && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(2 * sizeof(int))) {
    std::array<int, 2> descriptors{};
    std::memcpy(descriptors.data(), CMSG_DATA(header), sizeof(descriptors));
    memory = descriptors[0];
    card.event = descriptors[1];
  }
  const Welcome& welcome = card.welcome;
  int result = 0;
  const bool understood = got == static_cast<ssize_t>(sizeof(welcome)) && welcome.magic == kMagic &&
                          welcome.version == kVersion;
  const bool usable = memory >= 0 && card.event >= 0 && welcome.channels >= 1 &&
                      welcome.channels <= 64 && welcome.ring_frames >= 1024 &&
                      welcome.ring_frames <= (1U << 20) &&
                      (welcome.ring_frames & (welcome.ring_frames - 1)) == 0 &&
                      welcome.bytes == shared_bytes(welcome.ring_frames, welcome.channels);
  if (!understood || (welcome.error >= 0 && !usable)) {
    result = -EPROTO;
  } else if (welcome.error < 0) {
    result = welcome.error;
  } else {
    void* mapped = mmap(nullptr, welcome.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (mapped == MAP_FAILED) {
      result = -errno;
    } else {
      card.header = static_cast<SharedHeader*>(mapped);
      card.samples = reinterpret_cast<float*>(static_cast<char*>(mapped) + kSampleOffset);
    }
  }
  if (memory >= 0) ::close(memory);
  return result;
}

int constrain(Card& card) {
  snd_pcm_ioplug_t* io = &card.io;
  const unsigned channels = card.welcome.channels;
  const std::array<unsigned, 4> access{
      SND_PCM_ACCESS_MMAP_INTERLEAVED, SND_PCM_ACCESS_MMAP_NONINTERLEAVED,
      SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_RW_NONINTERLEAVED};
  const std::array<unsigned, 3> formats{SND_PCM_FORMAT_FLOAT_LE, SND_PCM_FORMAT_S32_LE,
                                        SND_PCM_FORMAT_S16_LE};
  // In bytes of all formats: 16-bit samples may use half of the ring, 32-bit ones a quarter.
  const unsigned largest = card.welcome.ring_frames / 2 * channels * 2;
  const unsigned smallest_period = 16 * channels * 2;
  const unsigned smallest_buffer = 2 * card.welcome.block_frames * channels * 2;
  int result = 0;
  const auto keep = [&](int code) {
    if (result == 0 && code < 0) result = code;
  };
  keep(snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, access.size(), access.data()));
  keep(snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, formats.size(), formats.data()));
  keep(snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_CHANNELS, channels, channels));
  keep(snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_RATE, card.welcome.sample_rate,
                                       card.welcome.sample_rate));
  keep(snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, smallest_period,
                                       largest / 2));
  keep(snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_BUFFER_BYTES, smallest_buffer,
                                       largest));
  keep(snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIODS, 2, 1024));
  return result;
}

}  // namespace

extern "C" {

SND_PCM_PLUGIN_DEFINE_FUNC(room) {
  (void)root;
  const char* socket_path = nullptr;
  const char* card_name = nullptr;
  snd_config_iterator_t i;
  snd_config_iterator_t next;
  snd_config_for_each(i, next, conf) {
    snd_config_t* entry = snd_config_iterator_entry(i);
    const char* id = nullptr;
    if (snd_config_get_id(entry, &id) < 0) continue;
    if (std::strcmp(id, "comment") == 0 || std::strcmp(id, "type") == 0 ||
        std::strcmp(id, "hint") == 0) {
      continue;
    }
    const bool is_socket = std::strcmp(id, "socket") == 0;
    if (is_socket || std::strcmp(id, "card") == 0) {
      if (snd_config_get_string(entry, is_socket ? &socket_path : &card_name) < 0) return -EINVAL;
      continue;
    }
    SNDERR("room: unknown field %s", id);
    return -EINVAL;
  }
  if (socket_path == nullptr || card_name == nullptr) {
    SNDERR("room: the fields socket and card are needed");
    return -EINVAL;
  }
  Card* card = new (std::nothrow) Card;
  if (card == nullptr) return -ENOMEM;
  int result = greet(*card, socket_path, card_name, stream);
  if (result == 0) {
    card->io.version = SND_PCM_IOPLUG_VERSION;
    card->io.name = "Conclave virtual room";
    card->io.flags = SND_PCM_IOPLUG_FLAG_BOUNDARY_WA | SND_PCM_IOPLUG_FLAG_MONOTONIC;
    card->io.poll_fd = card->event;
    card->io.poll_events = POLLIN;
    card->io.mmap_rw = 0;
    card->io.callback = &kCallbacks;
    card->io.private_data = card;
    result = snd_pcm_ioplug_create(&card->io, name, stream, mode);
  }
  if (result < 0) {
    delete card;
    return result;
  }
  result = constrain(*card);
  if (result < 0) {
    snd_pcm_ioplug_delete(&card->io);  // closes, and so deletes, the card
    return result;
  }
  *pcmp = card->io.pcm;
  return 0;
}

SND_PCM_PLUGIN_SYMBOL(room);
}
