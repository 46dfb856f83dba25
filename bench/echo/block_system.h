// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>

#include "bench/echo/system.h"

namespace conclave::bench::echo {

/// A canceller's state for one recording, fed in blocks of 10 ms.
class BlockProcessor {
 public:
  virtual ~BlockProcessor() = default;
  /// mics: channels x hop; far, out: hop. Its CPU time is what is reported.
  virtual void process(ConstFrameView mics, ConstFrameView far, std::span<float> out) = 0;
  virtual std::optional<double> latency_ms() const { return std::nullopt; }
};

/// A system that works on blocks: cuts the recording up and takes the time.
class BlockSystem : public System {
 public:
  explicit BlockSystem(std::string name) : name_(std::move(name)) {}
  const std::string& name() const override { return name_; }
  Result<SystemOutput> run(const SystemInput& input, const std::atomic<bool>& stop) const final;

 protected:
  virtual Result<std::unique_ptr<BlockProcessor>> start(const SystemInput& input) const = 0;

 private:
  std::string name_;
};

enum class ConclaveKind { kEcho, kLinear, kNoise };

std::unique_ptr<System> make_none_system();
std::unique_ptr<System> make_conclave_system(std::string name, ConclaveKind kind);
std::unique_ptr<System> make_speexdsp_system(std::string name, bool preprocess);
std::unique_ptr<System> make_webrtc_system(std::string name, bool noise_suppression);

}  // namespace conclave::bench::echo
