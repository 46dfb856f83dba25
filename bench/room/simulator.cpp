// SPDX-License-Identifier: Apache-2.0
#include "bench/room/simulator.h"

#include <sndfile.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <future>
#include <utility>

#include "bench/room/image_method.h"
#include "bench/room/loudspeaker.h"
#include "bench/room/matrix_convolver.h"
#include "bench/room/noise.h"
#include "bench/room/random.h"
#include "bench/room/talk.h"

namespace conclave::bench::room {
namespace {

float linear(double db) { return db <= -200 ? 0.0F : static_cast<float>(std::pow(10.0, db / 20)); }

/// Measured responses, one channel for each microphone, in place of the image method's.
Result<std::vector<Response>> read_responses(const std::string& path, int microphones,
                                             int sample_rate, int lead, double gain) {
  SF_INFO info{};
  const std::unique_ptr<SNDFILE, int (*)(SNDFILE*)> file(sf_open(path.c_str(), SFM_READ, &info),
                                                         sf_close);
  if (!file) return Error{"impulse responses " + path + ": " + sf_strerror(nullptr)};
  if (info.channels != microphones || info.samplerate != sample_rate) {
    return Error{"impulse responses " + path + " have " + std::to_string(info.channels) +
                 " channels at " + std::to_string(info.samplerate) + " Hz; the scene needs " +
                 std::to_string(microphones) + " at " + std::to_string(sample_rate) + " Hz"};
  }
  std::vector<float> samples(static_cast<std::size_t>(info.frames * info.channels));
  const auto got =
      static_cast<std::size_t>(sf_readf_float(file.get(), samples.data(), info.frames));
  const auto first = static_cast<std::size_t>(lead);
  std::vector<Response> responses(static_cast<std::size_t>(microphones), Response(first + got));
  for (std::size_t m = 0; m < responses.size(); ++m) {
    for (std::size_t n = 0; n < got; ++n) {
      responses[m][first + n] =
          static_cast<float>(gain) * samples[n * static_cast<std::size_t>(microphones) + m];
    }
  }
  return responses;
}

}  // namespace

struct Simulator::Placement {
  int talker = 0;
  Point position;
  MatrixConvolver::FilterPtr filter;
};
void Simulator::PlacementDeleter::operator()(Placement* placement) const { delete placement; }

class Simulator::Impl {
 public:
  Impl(const Scene& scene_in, Parts parts_in)
      : scene(scene_in),
        parts(parts_in),
        block(scene_in.block_frames()),
        shoebox(scene_in),
        loudspeaker(scene_in.sample_rate, scene_in.loudspeaker_drive, scene_in.loudspeaker_rub,
                    scene_in.seed),
        fan_level(linear(scene_in.fan_dbfs)),
        sensor_level(linear(scene_in.sensor_noise_dbfs)) {
    places = scene.ring;
    for (const Satellite& s : scene.satellites) places.push_back(s.position);
    capture_lead = samples(scene.capture_delay_ms);
    echo_lead = capture_lead + samples(scene.playback_delay_ms);
    sources = FrameBuffer(1 + static_cast<int>(scene.talkers.size()), block);
    for (std::size_t m = 0; m < places.size(); ++m) hiss.emplace_back(scene.seed * 31 + m);
    for (const Talker& talker : scene.talkers) {
      on.push_back(talker.on);
      gain.push_back(talker.on ? 1.0F : 0.0F);
    }
  }

  int samples(double ms) const {
    return static_cast<int>(std::lround(ms * scene.sample_rate / 1000));
  }

  Result<std::vector<Response>> loudspeaker_responses() const {
    const double level = std::pow(10.0, scene.loudspeaker_gain_db / 20);
    if (scene.loudspeaker_responses.empty())
      return shoebox.responses(scene.loudspeaker, places, echo_lead, level);
    return read_responses(scene.loudspeaker_responses, static_cast<int>(places.size()),
                          scene.sample_rate, echo_lead, 1.0);
  }

  Result<std::vector<Response>> talker_responses(const Talker& talker) const {
    if (talker.impulse_responses.empty())
      return shoebox.responses(talker.position, places, capture_lead, 1.0);
    return read_responses(talker.impulse_responses, static_cast<int>(places.size()),
                          scene.sample_rate, capture_lead, 1.0);
  }

  Status prepare() {
    auto fan_job = std::async(std::launch::async, [this]() -> Status {
      if (!parts.noise || scene.fan_dbfs <= -200) return {};
      CONCLAVE_TRY(fan, make_fan(scene, shoebox));
      return {};
    });
    auto talk_job = std::async(std::launch::async, [this] { return make_talk(scene); });
    std::vector<std::vector<Response>> responses;
    CONCLAVE_TRY(auto echo, loudspeaker_responses());
    responses.push_back(std::move(echo));
    for (const Talker& talker : scene.talkers) {
      CONCLAVE_TRY(auto one, talker_responses(talker));
      responses.push_back(std::move(one));
    }
    std::size_t longest = 1;
    for (const auto& set : responses) {
      for (const auto& response : set) longest = std::max(longest, response.size());
    }
    // Room for talkers who move further away.
    const int taps = static_cast<int>(longest) + scene.sample_rate / 50;
    CONCLAVE_TRY(convolver, MatrixConvolver::create(sources.channels(),
                                                    static_cast<int>(places.size()), block, taps));
    for (std::size_t s = 0; s < responses.size(); ++s)
      convolver->set_filter(static_cast<int>(s), convolver->make_filter(responses[s]));
    CONCLAVE_TRY(talk, talk_job.get());
    return fan_job.get();
  }

  void add_talkers() noexcept {
    for (std::size_t t = 0; t < scene.talkers.size(); ++t) {
      const auto to = sources[static_cast<int>(t) + 1];
      const float goal = on[t] ? 1.0F : 0.0F;
      if (!parts.talkers || (goal == 0.0F && gain[t] == 0.0F)) {
        std::fill(to.begin(), to.end(), 0.0F);
        continue;
      }
      const float step = (goal - gain[t]) / static_cast<float>(block);
      auto at = static_cast<std::size_t>(position % talk.loop_samples);
      for (float& x : to) {
        gain[t] += step;
        x = gain[t] * talk.dry[t][at];
        if (++at == talk.dry[t].size()) at = 0;
      }
      gain[t] = goal;
    }
  }

  void add_noise(FrameView out) noexcept {
    if (!parts.noise) return;
    for (int m = 0; m < out.channels(); ++m) {
      const auto to = out[m];
      Random& random = hiss[static_cast<std::size_t>(m)];
      for (float& x : to) x += sensor_level * random.noise();
      if (fan.frames() == 0 || fan_level == 0.0F) continue;
      const auto loop = fan[m];
      auto at = static_cast<std::size_t>(position % fan.frames());
      for (float& x : to) {
        x += fan_level * loop[at];
        if (++at == loop.size()) at = 0;
      }
    }
  }

  Scene scene;
  Parts parts;
  int block;
  Shoebox shoebox;
  Loudspeaker loudspeaker;
  float fan_level;
  float sensor_level;
  std::vector<Point> places;
  int capture_lead = 0;
  int echo_lead = 0;
  std::unique_ptr<MatrixConvolver> convolver;
  Talk talk;
  FrameBuffer fan;
  FrameBuffer sources;
  std::vector<Random> hiss;
  std::vector<bool> on;
  std::vector<float> gain;
  std::int64_t position = 0;
  bool far_active = false;
};

Simulator::Simulator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Simulator::~Simulator() = default;

Result<std::unique_ptr<Simulator>> Simulator::create(const Scene& scene, Parts parts) {
  CONCLAVE_CHECK_STATUS(check_scene(scene));
  auto impl = std::make_unique<Impl>(scene, parts);
  CONCLAVE_CHECK_STATUS(impl->prepare());
  return std::unique_ptr<Simulator>(new Simulator(std::move(impl)));
}

const Scene& Simulator::scene() const { return impl_->scene; }
int Simulator::block_frames() const { return impl_->block; }
int Simulator::microphones() const { return static_cast<int>(impl_->places.size()); }
std::int64_t Simulator::position() const { return impl_->position; }

void Simulator::process(ConstFrameView loudspeaker, FrameView microphones) noexcept {
  Impl& self = *impl_;
  assert(loudspeaker.frames() == self.block && microphones.frames() == self.block);
  const auto speaker = self.sources[0];
  if (self.parts.loudspeaker) {
    self.loudspeaker.process(loudspeaker[0], speaker);
    float peak = 0;
    for (const float x : loudspeaker[0]) peak = std::max(peak, std::abs(x));
    self.far_active = peak > 0.002F;
  } else {
    std::fill(speaker.begin(), speaker.end(), 0.0F);
  }
  self.add_talkers();
  self.convolver->process(self.sources, microphones);
  self.add_noise(microphones);
  self.position += self.block;
}

Truth Simulator::truth_at(std::int64_t sample) const {
  const Impl& self = *impl_;
  Truth truth;
  truth.t_seconds = static_cast<double>(sample) / self.scene.sample_rate;
  truth.far_active = self.far_active;
  const std::int64_t frame = self.scene.sample_rate / 100;
  const auto at = static_cast<std::size_t>(sample % self.talk.loop_samples / frame);
  for (std::size_t t = 0; self.parts.talkers && t < self.talk.active.size(); ++t) {
    if (!self.on[t] || !self.talk.active[t][at]) continue;
    truth.talker = static_cast<int>(t);
    truth.azimuth_deg = azimuth_deg(self.scene.talkers[t].position);
  }
  return truth;
}

std::span<const float> Simulator::mouth(int talker) const {
  return impl_->talk.dry[static_cast<std::size_t>(talker)];
}

void Simulator::set_talker_on(int talker, bool on) noexcept {
  impl_->on[static_cast<std::size_t>(talker)] = on;
}
bool Simulator::talker_on(int talker) const { return impl_->on[static_cast<std::size_t>(talker)]; }

void Simulator::set_fan_dbfs(double level) noexcept {
  impl_->scene.fan_dbfs = level;
  impl_->fan_level = linear(level);
}
double Simulator::fan_dbfs() const { return impl_->scene.fan_dbfs; }

Result<Simulator::PlacementPtr> Simulator::prepare_placement(int talker, Point position) const {
  const Impl& self = *impl_;
  if (talker < 0 || talker >= static_cast<int>(self.scene.talkers.size()))
    return Error{"there is no such talker"};
  Scene moved = self.scene;
  moved.talkers[static_cast<std::size_t>(talker)].position = position;
  CONCLAVE_CHECK_STATUS(check_scene(moved));
  PlacementPtr placement(new Placement);
  placement->talker = talker;
  placement->position = position;
  placement->filter = self.convolver->make_filter(
      self.shoebox.responses(position, self.places, self.capture_lead, 1.0));
  return placement;
}

Simulator::PlacementPtr Simulator::place_talker(PlacementPtr placement) noexcept {
  Impl& self = *impl_;
  self.scene.talkers[static_cast<std::size_t>(placement->talker)].position = placement->position;
  placement->filter =
      self.convolver->set_filter(placement->talker + 1, std::move(placement->filter));
  return placement;
}

}  // namespace conclave::bench::room
