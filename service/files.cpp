// SPDX-License-Identifier: Apache-2.0
#include "service/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace conclave::service {

Status write_file(const std::string& path, const std::string& text, mode_t mode) {
  const std::string temporary = path + ".new";
  unlink(temporary.c_str());
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) {
    return Error{"Cannot write " + temporary + ": " + std::strerror(errno) +
                 "; check the data folder's owner and free space"};
  }
  bool ok = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ok = fsync(fd) == 0 && ok;
  ok = close(fd) == 0 && ok;
  ok = ok && rename(temporary.c_str(), path.c_str()) == 0;
  if (!ok) return Error{"Cannot write " + path + ": " + std::strerror(errno)};
  const auto slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  if (const int dir = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); dir >= 0) {
    (void)fsync(dir);
    close(dir);
  }
  return {};
}

Result<std::string> read_file(const std::string& path, std::size_t max_bytes, bool* missing) {
  std::ifstream in(path, std::ios::binary);
  *missing = !in && errno == ENOENT;
  if (!in) return Error{"Cannot read " + path + ": " + std::strerror(errno)};
  std::string text(max_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > max_bytes) {
    return Error{path + " is longer than " + std::to_string(max_bytes) + " bytes"};
  }
  return text;
}

}  // namespace conclave::service
