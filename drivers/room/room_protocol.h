// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

/// What the ALSA plugin `room` (inside the phone) and the room process say to each other.
///
/// One UNIX stream connection is one open PCM stream, and its lifeline: whichever side dies, the
/// other sees the hang-up. The client sends Hello; the room answers Welcome together with two
/// descriptors, the shared memory and an eventfd that becomes readable when the stream has
/// something to tell. From then on everything passes through the shared memory; the socket carries
/// only an optional one-byte "look at me" from the client in virtual time.
///
/// Both sides treat what the other may write as hostile: sizes are read once from Welcome, and
/// positions are masked and bounded before they are used. The memory is sealed against shrinking,
/// so that a dying peer cannot take a mapped page away.
namespace conclave::drivers::room {

inline constexpr std::uint32_t kMagic = 0x434c5652;  // "RVLC"
inline constexpr std::uint32_t kVersion = 1;

enum class Direction : std::uint32_t { kCapture = 0, kPlayback = 1 };

struct Hello {
  std::uint32_t magic = kMagic;
  std::uint32_t version = kVersion;
  Direction direction = Direction::kCapture;
  std::array<char, 32> card{};  ///< "ring", "sat1", ...; zero-terminated
};

struct Welcome {
  std::uint32_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::int32_t error = 0;          ///< 0, or -ENODEV unplugged, -EBUSY in use, -ENOENT no such card
  std::uint32_t virtual_time = 0;  ///< 1: time waits for the clients, who ring for every news
  std::uint32_t sample_rate = 0;
  std::uint32_t channels = 0;
  std::uint32_t ring_frames = 0;             ///< power of two; float samples, interleaved
  std::uint32_t block_frames = 0;            ///< the room moves its position in such steps
  std::uint32_t converter_delay_frames = 0;  ///< added to what delay() tells; 0 = not told
  std::uint64_t bytes = 0;                   ///< of the shared memory
};

enum class Plug : std::uint32_t { kPlugged = 0, kUnplugged = 1 };

/// A position and to which start of the stream it belongs, in one atomic word: a position of an
/// earlier life of the stream is never mistaken for one of this life.
struct Position {
  std::uint16_t generation = 0;
  bool running = false;
  std::uint64_t frames = 0;

  static constexpr std::uint64_t kFrameMask = (std::uint64_t{1} << 47) - 1;
  std::uint64_t pack() const {
    return static_cast<std::uint64_t>(generation) << 48 |
           static_cast<std::uint64_t>(running) << 47 | (frames & kFrameMask);
  }
  static Position unpack(std::uint64_t word) {
    return {static_cast<std::uint16_t>(word >> 48), (word >> 47 & 1) != 0, word & kFrameMask};
  }
};

/// At the start of the shared memory; ring_frames * channels floats follow at kSampleOffset.
struct SharedHeader {
  alignas(64) std::atomic<std::uint64_t> room_position{0};  ///< the room's: the hardware pointer
  std::atomic<std::int64_t> room_time_ns{0};                ///< CLOCK_MONOTONIC when it moved there
  std::atomic<Plug> plug{Plug::kPlugged};
  std::atomic<std::uint32_t> xrun{0};  ///< generation + 1 that the room declares broken; 0 = none
  alignas(64) std::atomic<std::uint64_t> client_position{0};  ///< the application pointer
  std::atomic<std::uint32_t> buffer_frames{0};                ///< the application's buffer
  std::atomic<std::uint32_t> wake_frames{1};  ///< wake the client when so many are available
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
inline constexpr std::size_t kSampleOffset = 256;
static_assert(sizeof(SharedHeader) <= kSampleOffset);

inline std::size_t shared_bytes(std::uint32_t ring_frames, std::uint32_t channels) {
  return kSampleOffset + std::size_t{ring_frames} * channels * sizeof(float);
}

/// A UNIX address holds 107 characters, a directory's path may be longer: names the socket through
/// a descriptor of its directory. Returns false when the directory cannot be opened; the caller
/// closes `directory` after bind() or connect().
inline bool socket_address(const char* path, sockaddr_un& address, int& directory) {
  address = {};
  address.sun_family = AF_UNIX;
  directory = -1;
  const std::size_t length = std::strlen(path);
  if (length < sizeof(address.sun_path)) {
    std::memcpy(address.sun_path, path, length + 1);
    return true;
  }
  const char* slash = std::strrchr(path, '/');
  if (slash == nullptr || length >= 4096) return false;
  std::array<char, 4096> folder{};
  std::memcpy(folder.data(), path, static_cast<std::size_t>(slash - path));
  directory = ::open(folder.data(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  const int written = std::snprintf(address.sun_path, sizeof(address.sun_path),
                                    "/proc/self/fd/%d/%s", directory, slash + 1);
  if (written > 0 && static_cast<std::size_t>(written) < sizeof(address.sun_path)) return true;
  ::close(directory);
  directory = -1;
  return false;
}

/// Connects to a room's stream socket; the descriptor, or -errno.
inline int connect_socket(const char* path) {
  sockaddr_un address{};
  int directory = -1;
  if (!socket_address(path, address, directory)) return -ENOENT;
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int result = fd < 0 ? -errno : fd;
  if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    result = -errno;
    ::close(fd);
  }
  if (directory >= 0) ::close(directory);
  return result;
}

}  // namespace conclave::drivers::room
