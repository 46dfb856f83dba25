// SPDX-License-Identifier: Apache-2.0
#include "bench/room/room_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "bench/room/room_control.h"
#include "bench/room/room_engine.h"
#include "bench/room/wav.h"
#include "drivers/room/room_protocol.h"

namespace conclave::bench::room {
namespace {

namespace fs = std::filesystem;
using drivers::room::Direction;
using drivers::room::Hello;
using drivers::room::Welcome;
using nlohmann::json;

constexpr int kIdleMs = 50;  // how often truth is written out
constexpr std::size_t kLongestLine = 4096;

Result<int> listen_at(const std::string& path) {
  if (const int peer = drivers::room::connect_socket(path.c_str()); peer >= 0) {
    ::close(peer);
    return Error{"a room already runs at " + path + "; end it or choose another --dir"};
  }
  ::unlink(path.c_str());
  sockaddr_un address{};
  int directory = -1;
  if (!drivers::room::socket_address(path.c_str(), address, directory))
    return Error{"socket " + path + ": its folder cannot be opened"};
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const bool bound =
      fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      ::listen(fd, 16) == 0;
  const int code = errno;
  if (directory >= 0) ::close(directory);
  if (!bound) {
    if (fd >= 0) ::close(fd);
    return Error{"socket " + path + " cannot be made: " + std::strerror(code)};
  }
  // Whoever may connect can move the room: its owner alone.
  ::chmod(path.c_str(), S_IRUSR | S_IWUSR);
  return fd;
}

Status write_file(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  std::ofstream file(fresh, std::ios::trunc);
  file << text;
  file.close();
  if (!file || std::rename(fresh.c_str(), path.c_str()) != 0)
    return Error{path + " cannot be written: " + std::strerror(errno)};
  return {};
}

/// ALSA's configuration language has no way to write a quote inside quotes.
bool quotable(const std::string& path) { return path.find_first_of("\"\\\n") == std::string::npos; }

std::string alsa_configuration(const std::vector<RoomCard>& cards, const std::string& plugin,
                               const std::string& socket) {
  std::string text =
      "# The virtual room's sound cards. Use: ALSA_CONFIG_PATH=<this file> aplay -D conclave_ring\n"
      "</usr/share/alsa/alsa.conf>\n"
      "pcm_type.room { lib \"" +
      plugin + "\" }\n";
  for (const RoomCard& card : cards) {
    text += "pcm.conclave_" + card.name + " {\n  type room\n  socket \"" + socket +
            "\"\n  card \"" + card.name +
            "\"\n  hint { show on description \"Conclave room: " + card.name + "\" }\n}\n";
  }
  return text;
}

}  // namespace

class RoomServer::Impl {
 public:
  struct Client {
    int socket = -1;
    RoomCard* card = nullptr;  // null: a control connection
    Direction direction = Direction::kCapture;
    std::string line;
  };

  Impl(const ServerConfig& config_in, std::unique_ptr<Simulator> simulator)
      : config(config_in),
        engine(std::move(simulator), config_in.virtual_time, config_in.real_time_priority),
        control(engine) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    engine.quit();
    if (thread.joinable()) thread.join();
    for (const Client& client : clients) ::close(client.socket);
    for (const int fd : {streams, controls, wake}) {
      if (fd >= 0) ::close(fd);
    }
    // room.json stands for a room that runs.
    for (const std::string& path : {file("room.json"), file("room.sock"), config.control_socket})
      ::unlink(path.c_str());
  }

  std::string file(const std::string& name) const { return config.directory + "/" + name; }

  Status write_files() {
    const Simulator& simulator = engine.simulator();
    const Scene& scene = simulator.scene();
    CONCLAVE_CHECK_STATUS(write_file(
        file("asound.conf"), alsa_configuration(engine.cards(), config.plugin, file("room.sock"))));
    CONCLAVE_CHECK_STATUS(write_file(file("scene.json"), scene_json(scene)));
    CONCLAVE_CHECK_STATUS(write_file(file("profile.json"), profile_json(scene)));
    for (std::size_t t = 0; t < scene.talkers.size(); ++t) {
      const auto dry = simulator.mouth(static_cast<int>(t));
      CONCLAVE_CHECK_STATUS(write_wav(file("mouth_" + scene.talkers[t].id + ".wav"),
                                      ConstFrameView(dry), scene.sample_rate));
    }
    truth.open(file("truth.jsonl"), std::ios::trunc);
    if (!truth) return Error{file("truth.jsonl") + " cannot be written"};
    return {};
  }

  json describe() const {
    RoomEngine& room = const_cast<RoomEngine&>(engine);
    const Simulator& simulator = room.simulator();
    const Scene& scene = simulator.scene();
    json talkers = json::array();
    for (std::size_t t = 0; t < scene.talkers.size(); ++t) {
      const Talker& talker = scene.talkers[t];
      talkers.push_back({{"id", talker.id},
                         {"mouth", file("mouth_" + talker.id + ".wav")},
                         {"azimuth_deg", azimuth_deg(talker.position)},
                         {"distance_m", distance(talker.position, {})},
                         {"loop_samples", simulator.mouth(static_cast<int>(t)).size()}});
    }
    json pcms = json::object();
    for (const RoomCard& card : room.cards()) {
      pcms["conclave_" + card.name] = {{"capture_channels", card.capture_channels},
                                       {"playback_channels", card.playback_channels},
                                       {"ppm", card.ppm}};
    }
    return {{"ready", true},
            {"pid", ::getpid()},
            {"alsa_config", file("asound.conf")},
            {"profile", file("profile.json")},
            {"truth", file("truth.jsonl")},
            {"control", config.control_socket},
            {"sample_rate", scene.sample_rate},
            {"virtual_time", config.virtual_time},
            {"start_ns", room.start_ns()},
            {"hardware_delay_ms",
             {{"capture", scene.capture_delay_ms}, {"playback", scene.playback_delay_ms}}},
            {"pcms", pcms},
            {"talkers", talkers}};
  }

  void accept_stream() {
    const int fd = ::accept4(streams, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const timeval patience{0, 200'000};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    Hello hello;
    if (::recv(fd, &hello, sizeof(hello), MSG_WAITALL) != static_cast<ssize_t>(sizeof(hello)) ||
        hello.magic != drivers::room::kMagic) {
      ::close(fd);
      return;
    }
    hello.card.back() = '\0';
    const int problem = open_stream(fd, hello);
    if (problem == 0) return;
    Welcome refusal;
    refusal.error = problem;
    (void)!::send(fd, &refusal, sizeof(refusal), MSG_NOSIGNAL);
    ::close(fd);
  }

  int open_stream(int fd, const Hello& hello) {
    if (hello.version != drivers::room::kVersion) return -EPROTO;
    if (hello.direction != Direction::kCapture && hello.direction != Direction::kPlayback)
      return -EINVAL;
    RoomCard* card = engine.card(hello.card.data());
    if (card == nullptr) return -ENOENT;
    CardStream::Shape shape;
    shape.direction = hello.direction;
    const bool capture = hello.direction == Direction::kCapture;
    shape.channels = capture ? card->capture_channels : card->playback_channels;
    if (shape.channels == 0) return -ENOENT;
    shape.sample_rate = engine.simulator().scene().sample_rate;
    shape.block_frames = engine.simulator().block_frames();
    shape.virtual_time = config.virtual_time;
    if (!card->plugged) return -ENODEV;
    auto& slot = capture ? card->capture : card->playback;
    if (slot) {
      reap();  // its client may have gone a moment ago
      if (slot) return -EBUSY;
    }
    auto stream = CardStream::open(shape);
    if (!stream) {
      log::error("room", stream.error().message);
      return -ENOMEM;
    }
    if (!(*stream)->welcome(fd)) return -EPIPE;
    clients.push_back({fd, card, hello.direction, {}});
    const auto guard = engine.lock();
    slot = std::move(*stream);
    return 0;
  }

  void drop(Client& client) {
    if (client.card != nullptr) {
      std::unique_ptr<CardStream> old;  // unmapped outside the lock
      const auto guard = engine.lock();
      old = std::move(client.direction == Direction::kCapture ? client.card->capture
                                                              : client.card->playback);
    }
    ::close(client.socket);
    client.socket = -1;
    engine.nudge();
  }

  /// Takes what a client has sent; false when it is gone.
  bool serve(Client& client) {
    std::array<char, 512> bytes{};
    for (;;) {
      const ssize_t got = ::recv(client.socket, bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
      if (got == 0) return false;
      if (client.card != nullptr) continue;  // bells; the caller nudges
      client.line.append(bytes.data(), static_cast<std::size_t>(got));
      for (std::size_t end = 0; (end = client.line.find('\n')) != std::string::npos;) {
        const std::string answer = control.answer(client.line.substr(0, end)) + "\n";
        client.line.erase(0, end + 1);
        if (::send(client.socket, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return false;
      }
      if (client.line.size() > kLongestLine) return false;
    }
  }

  void reap() {
    for (Client& client : clients) {
      const bool unplugged = client.card != nullptr && !client.card->plugged;
      if (unplugged || !serve(client)) drop(client);
    }
    std::erase_if(clients, [](const Client& client) { return client.socket < 0; });
  }

  void write_truth() {
    TruthRecord record;
    bool any = false;
    const auto& talkers = engine.simulator().scene().talkers;
    while (engine.next_truth(record)) {
      const Truth& t = record.truth;
      json line = {{"t", t.t_seconds},
                   {"t_ns", record.time_ns},
                   {"speech", t.talker >= 0},
                   {"far", t.far_active}};
      if (t.talker >= 0) {
        line["talker"] = talkers[static_cast<std::size_t>(t.talker)].id;
        line["azimuth_deg"] = t.azimuth_deg;
      }
      truth << line.dump() << '\n';
      any = true;
    }
    if (any) truth.flush();
  }

  Status loop() {
    std::vector<pollfd> fds;
    while (!control.quit_asked()) {
      fds.assign({{wake, POLLIN, 0}, {streams, POLLIN, 0}, {controls, POLLIN, 0}});
      for (const Client& client : clients) fds.push_back({client.socket, POLLIN, 0});
      const int ready = ::poll(fds.data(), fds.size(), kIdleMs);
      if (ready < 0 && errno != EINTR) return Error{"room: poll failed"};
      if (fds[0].revents != 0) break;
      if (ready > 0) {
        reap();
        engine.nudge();
        if (fds[1].revents != 0) accept_stream();
        if (fds[2].revents != 0) {
          const int fd = ::accept4(controls, nullptr, nullptr, SOCK_CLOEXEC);
          if (fd >= 0) clients.push_back({fd, nullptr, Direction::kCapture, {}});
        }
      }
      write_truth();
    }
    return {};
  }

  ServerConfig config;
  RoomEngine engine;
  RoomControl control;
  std::thread thread;
  int streams = -1;
  int controls = -1;
  int wake = -1;
  std::vector<Client> clients;
  std::ofstream truth;
};

RoomServer::RoomServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RoomServer::~RoomServer() = default;

Result<std::unique_ptr<RoomServer>> RoomServer::create(const ServerConfig& wanted) {
  ServerConfig config = wanted;
  std::error_code error;
  fs::create_directories(config.directory, error);
  if (error) return Error{"folder " + config.directory + " cannot be made: " + error.message()};
  config.directory = fs::canonical(config.directory, error).string();
  config.plugin = fs::absolute(config.plugin, error).lexically_normal().string();
  if (config.control_socket.empty()) config.control_socket = config.directory + "/control.sock";
  if (!fs::exists(config.plugin, error)) {
    return Error{"the ALSA plugin " + config.plugin +
                 " is not there; build the target asound_module_pcm_room or give --plugin"};
  }
  if (!quotable(config.directory) || !quotable(config.plugin))
    return Error{"ALSA cannot read paths with quotes or backslashes: " + config.directory};
  // Looked for before the rendering: a second room must not take the first one's sockets.
  CONCLAVE_TRY(const int streams, listen_at(config.directory + "/room.sock"));
  auto controls = listen_at(config.control_socket);
  auto simulator = controls ? Simulator::create(config.scene)
                            : Result<std::unique_ptr<Simulator>>(controls.error());
  if (!simulator) {
    ::close(streams);
    if (controls) ::close(*controls);
    return simulator.error();
  }
  auto impl = std::make_unique<Impl>(config, std::move(*simulator));
  impl->streams = streams;
  impl->controls = *controls;
  impl->wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (impl->wake < 0) return Error{"room: no descriptors"};
  CONCLAVE_CHECK_STATUS(impl->write_files());
  impl->thread = std::thread([engine = &impl->engine] { engine->run(); });
  while (impl->engine.start_ns() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CONCLAVE_CHECK_STATUS(write_file(impl->file("room.json"), impl->describe().dump(2) + "\n"));
  return std::unique_ptr<RoomServer>(new RoomServer(std::move(impl)));
}

Status RoomServer::run() { return impl_->loop(); }

void RoomServer::stop() noexcept {
  const std::uint64_t one = 1;
  (void)!::write(impl_->wake, &one, sizeof(one));
}

std::string RoomServer::description() const { return impl_->describe().dump(); }
std::string RoomServer::command(const std::string& line) { return impl_->control.answer(line); }

}  // namespace conclave::bench::room
