// SPDX-License-Identifier: Apache-2.0
#include "control/settings/store.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/durable_file.h"
#include "control/access/digest.h"

namespace conclave::control {
namespace {

constexpr std::string_view kMagic = "conclave-store 1 sha256=";
constexpr std::size_t kMaxBytes = 16 << 20;

std::optional<std::string> read_all(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string bytes;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || bytes.size() > kMaxBytes) break;
    bytes.append(buffer.data(), static_cast<std::size_t>(n));
  }
  ::close(fd);
  return bytes;
}

}  // namespace

std::string Store::seal(std::string_view content) {
  std::string bytes(kMagic);
  bytes += sha256_hex(content);
  bytes += " bytes=" + std::to_string(content.size()) + "\n";
  bytes += content;
  return bytes;
}

Result<std::string> Store::open_sealed(std::string_view bytes) {
  const std::size_t line = bytes.find('\n');
  if (line == std::string_view::npos || !bytes.starts_with(kMagic)) {
    return Error{"it has no valid first line"};
  }
  const std::string_view head = bytes.substr(kMagic.size(), line - kMagic.size());
  constexpr std::string_view kBytes = " bytes=";
  if (head.size() <= 64 + kBytes.size() || head.substr(64, kBytes.size()) != kBytes) {
    return Error{"it has no valid first line"};
  }
  const std::string_view digits = head.substr(64 + kBytes.size());
  std::size_t size = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  if (ec != std::errc{} || end != digits.data() + digits.size()) {
    return Error{"it has no valid first line"};
  }
  const std::string_view content = bytes.substr(line + 1);
  if (content.size() != size) return Error{"it is cut short or too long"};
  if (sha256_hex(content) != head.substr(0, 64)) return Error{"its checksum is wrong"};
  return std::string(content);
}

Store::Loaded Store::load() const {
  Loaded loaded;
  const struct {
    std::string path;
    Source source;
  } candidates[] = {{path_, Source::kCurrent}, {path_ + ".last-good", Source::kLastGood}};
  for (const auto& candidate : candidates) {
    const auto bytes = read_all(candidate.path);
    if (!bytes) continue;
    auto content = open_sealed(*bytes);
    if (content) {
      loaded.source = candidate.source;
      loaded.content = std::move(*content);
      return loaded;
    }
    if (!loaded.note.empty()) loaded.note += "; ";
    loaded.note += candidate.path + " cannot be used: " + content.error().message;
  }
  return loaded;
}

Status Store::save(std::string_view content) {
  const std::string temporary = path_ + ".new";
  CONCLAVE_CHECK_STATUS(write_and_flush(temporary, seal(content)));
  // Keep what is there now as the last good one, but only while it is good. By link and rename, so
  // that there is a whole file under both names at each moment.
  if (const auto now = read_all(path_); now && open_sealed(*now)) {
    const std::string link = path_ + ".link";
    ::unlink(link.c_str());
    if (::link(path_.c_str(), link.c_str()) != 0 ||
        ::rename(link.c_str(), (path_ + ".last-good").c_str()) != 0) {
      return Error{"cannot keep the last good copy of " + path_ + ": " + std::strerror(errno) +
                   "; check the folder's owner and the space left on the disk"};
    }
    ::unlink(link.c_str());  // rename does nothing where both are the same file already
  }
  return move_durably(temporary, path_);
}

}  // namespace conclave::control
