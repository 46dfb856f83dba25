// SPDX-License-Identifier: Apache-2.0
// Writes settings for ever and says on standard output which revision is acknowledged, until it is
// killed; or reads what is there. Driven by settings_campaign.py.
//
//   settings_writer write WRITER FOLDER FIRST     writes revisions FIRST, FIRST+1, ...
//   settings_writer read WRITER FOLDER            prints the revision, 0 for none, or "unreadable"
//
// WRITER: registry is the phone's own. The others are there to lose, so that it is known that a
// campaign would notice: overwrite (in place, no flush) and rename (a new file, but no flush).
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "base/log.h"
#include "control/settings/registry.h"
#include "control/settings/store.h"

namespace {

using conclave::control::Key;
using conclave::control::Layer;
using conclave::control::Registry;
using conclave::control::Store;

constexpr const char* kPrefix = "Room ";
constexpr std::size_t kBytes = 7000;  // as the phone's own file, once it is configured

std::string text_of(long revision) {
  const std::string number = std::to_string(revision);
  std::string text = number + "\n";
  while (text.size() < kBytes) text += number + " ";
  return text + "\n" + number + "\n";
}

bool write_carelessly(const std::string& path, long revision) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0) return false;
  const std::string text = text_of(revision);
  bool ok = true;
  for (std::size_t at = 0; ok && at < text.size(); at += 256) {
    const std::size_t size = std::min<std::size_t>(256, text.size() - at);
    ok = write(fd, text.data() + at, size) == static_cast<ssize_t>(size);
  }
  return close(fd) == 0 && ok;
}

bool write_revision(const std::string& writer, const std::string& folder, Registry& settings,
                    long revision) {
  const std::string path = folder + "/settings";
  if (writer == "overwrite") return write_carelessly(path, revision);
  if (writer == "rename") {
    return write_carelessly(path + ".new", revision) &&
           std::rename((path + ".new").c_str(), path.c_str()) == 0;
  }
  return settings.apply(Layer::kLocal, {{"Device.Name", kPrefix + std::to_string(revision)}}).ok();
}

int read_revision(const std::string& writer, const std::string& folder) {
  const std::string path = folder + "/settings";
  if (writer == "registry") {
    Registry settings(std::make_unique<Store>(path));
    const std::string note = settings.load();
    const std::string name = settings.get_text(Key::kDeviceName);
    const bool ours = name.rfind(kPrefix, 0) == 0;
    // Damaged files that have a good copy are no loss; that is what the copy is for.
    std::printf("%s\n", ours ? name.substr(5).c_str() : note.empty() ? "0" : "unreadable");
    return 0;
  }
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const long revision = std::atol(text.c_str());
  const bool whole = in.is_open() && revision > 0 && text == text_of(revision);
  std::printf("%s\n", whole           ? std::to_string(revision).c_str()
                      : !in.is_open() ? "0"
                                      : "unreadable");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 3 ? argv[1] : "";
  if (verb == "read") return read_revision(argv[2], argv[3]);
  if (verb != "write" || argc < 5) {
    std::fprintf(stderr, "settings_writer: see the head of its source\n");
    return 2;
  }
  conclave::log::set_level(conclave::log::Level::kWarning);
  const std::string folder = argv[3];
  Registry settings(std::make_unique<Store>(folder + "/settings"));
  settings.load();
  for (long revision = std::atol(argv[4]);; ++revision) {
    if (!write_revision(argv[2], folder, settings, revision)) return 1;
    std::printf("%ld\n", revision);
    std::fflush(stdout);
  }
}
