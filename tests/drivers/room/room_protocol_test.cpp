// SPDX-License-Identifier: Apache-2.0
#include "drivers/room/room_protocol.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <array>
#include <cmath>
#include <string>

#include "bench/room/card_stream.h"

namespace conclave::drivers::room {
namespace {

TEST(RoomProtocol, positions_survive_packing) {
  for (const std::uint64_t frames : {std::uint64_t{0}, std::uint64_t{480}, Position::kFrameMask}) {
    for (const bool running : {false, true}) {
      const Position there{65535, running, frames};
      const Position back = Position::unpack(there.pack());
      EXPECT_EQ(back.generation, 65535);
      EXPECT_EQ(back.running, running);
      EXPECT_EQ(back.frames, frames);
    }
  }
}

TEST(RoomProtocol, long_paths_make_addresses) {
  sockaddr_un address{};
  int directory = -1;
  ASSERT_TRUE(socket_address("/tmp/x.sock", address, directory));
  EXPECT_EQ(directory, -1);
  EXPECT_STREQ(address.sun_path, "/tmp/x.sock");
  EXPECT_FALSE(
      socket_address(("/tmp/" + std::string(200, 'n') + "/x.sock").c_str(), address, directory));
  EXPECT_EQ(connect_socket("/tmp/there_is_no_such.sock"), -ENOENT);
}

using bench::room::CardStream;

/// The client's side by hand.
class Peer {
 public:
  explicit Peer(const CardStream::Shape& shape) {
    auto opened = CardStream::open(shape);
    if (!opened) return;
    stream = std::move(*opened);
    std::array<int, 2> pair{};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) != 0) return;
    if (!stream->welcome(pair[0])) return;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(2 * sizeof(int))> control{};
    iovec data{&welcome, sizeof(welcome)};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (recvmsg(pair[1], &message, 0) != static_cast<ssize_t>(sizeof(welcome))) return;
    std::memcpy(descriptors.data(), CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(descriptors));
    ::close(pair[0]);
    ::close(pair[1]);
    void* mapped =
        mmap(nullptr, welcome.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptors[0], 0);
    header = static_cast<SharedHeader*>(mapped);
    samples = reinterpret_cast<float*>(static_cast<char*>(mapped) + kSampleOffset);
  }
  ~Peer() {
    munmap(header, welcome.bytes);
    for (const int fd : descriptors) ::close(fd);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void tell(std::uint16_t generation, bool running, std::uint64_t frames) {
    header->client_position = Position{generation, running, frames}.pack();
    stream->observe();
  }
  Position heard() const { return Position::unpack(header->room_position); }

  std::unique_ptr<CardStream> stream;
  Welcome welcome;
  std::array<int, 2> descriptors{-1, -1};
  SharedHeader* header = nullptr;
  float* samples = nullptr;
};

TEST(RoomProtocol, shared_memory_cannot_be_taken_away) {
  Peer peer({.direction = Direction::kCapture, .channels = 2});
  ASSERT_NE(peer.header, nullptr);
  EXPECT_EQ(ftruncate(peer.descriptors[0], 4096), -1);
  EXPECT_EQ(ftruncate(peer.descriptors[0], 1 << 30), -1);
}

TEST(RoomProtocol, samples_and_positions_pass) {
  Peer peer({.direction = Direction::kCapture, .channels = 2});
  FrameBuffer block(2, 240);
  block[1][7] = 0.25F;
  peer.tell(1, true, 0);
  peer.stream->follow(nullptr, 0);
  peer.stream->give(block);
  peer.stream->publish(1);
  EXPECT_EQ(peer.heard().generation, 1);
  EXPECT_EQ(peer.heard().frames, 240U);
  EXPECT_EQ(peer.samples[7 * 2 + 1], 0.25F);
  // Prepared again: the old position belongs to the old life.
  peer.tell(2, true, 0);
  EXPECT_EQ(peer.heard().generation, 1);
  peer.stream->follow(nullptr, 0);
  peer.stream->give(block);
  peer.stream->publish(2);
  EXPECT_EQ(peer.heard().generation, 2);
  EXPECT_EQ(peer.heard().frames, 240U);
}

TEST(RoomProtocol, streams_of_one_card_start_together) {
  Peer capture({.direction = Direction::kCapture});
  Peer playback({.direction = Direction::kPlayback});
  playback.tell(1, true, 960);
  capture.tell(1, false, 0);
  playback.stream->follow(capture.stream.get(), 1000);
  EXPECT_FALSE(playback.stream->running()) << "waits for the other one";
  capture.tell(1, true, 0);
  capture.stream->follow(playback.stream.get(), 2000);
  playback.stream->follow(capture.stream.get(), 1000);
  EXPECT_TRUE(capture.stream->running());
  EXPECT_TRUE(playback.stream->running());
  // But not for ever.
  Peer alone({.direction = Direction::kPlayback});
  Peer idle({.direction = Direction::kCapture});
  alone.tell(1, true, 960);
  alone.stream->follow(idle.stream.get(), 1);
  EXPECT_FALSE(alone.stream->running());
  alone.stream->follow(idle.stream.get(), 30'000'000);
  EXPECT_TRUE(alone.stream->running());
}

TEST(RoomProtocol, a_late_client_plays_silence) {
  Peer peer({.direction = Direction::kPlayback});
  FrameBuffer block(1, 240);
  for (int i = 0; i < 100; ++i) peer.samples[i] = 0.5F;
  peer.tell(1, true, 100);
  peer.stream->follow(nullptr, 0);
  peer.stream->take(block);
  EXPECT_EQ(block[0][99], 0.5F);
  EXPECT_EQ(block[0][100], 0);
  EXPECT_EQ(peer.stream->underruns(), 1U);
}

TEST(RoomProtocol, a_hostile_client_breaks_nothing) {
  Peer peer({.direction = Direction::kPlayback});
  FrameBuffer block(1, 240);
  for (int i = 0; i < 65536; ++i) peer.samples[i] = i % 3 == 0 ? NAN : 1e30F;
  peer.header->buffer_frames = 0xffffffff;
  peer.header->wake_frames = 0xffffffff;
  for (const std::uint64_t lie : {Position::kFrameMask, std::uint64_t{1}, std::uint64_t{65537}}) {
    peer.tell(1, true, lie);
    peer.stream->follow(nullptr, 0);
    for (int n = 0; n < 300; ++n) {
      peer.stream->take(block);
      peer.stream->publish(n);
      for (const float x : block[0]) ASSERT_TRUE(x >= -1 && x <= 1);
    }
  }
}

}  // namespace
}  // namespace conclave::drivers::room
