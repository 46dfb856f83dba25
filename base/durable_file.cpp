// SPDX-License-Identifier: Apache-2.0
#include "base/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace conclave {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Error failed(std::string_view what, const std::string& path) {
  return Error{std::string(what) + " " + path + ": " + std::strerror(errno) +
               "; check the folder's owner and the space left on the disk"};
}

}  // namespace

Status write_and_flush(const std::string& path, std::string_view bytes, mode_t mode) {
  // Never through what lies there: it may be a link, or of a laxer mode.
  ::unlink(path.c_str());
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (file.get() < 0) return failed("cannot write", path);
  if (::fchmod(file.get(), mode) != 0) return failed("cannot protect", path);
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::write(file.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return failed("cannot write", path);
    done += static_cast<std::size_t>(n);
  }
  if (::fsync(file.get()) != 0) return failed("cannot flush", path);
  return {};
}

Status move_durably(const std::string& from, const std::string& path) {
  if (::rename(from.c_str(), path.c_str()) != 0) return failed("cannot replace", path);
  return flush_folder(std::filesystem::path(path).parent_path().string());
}

Status write_durably(const std::string& path, std::string_view bytes, mode_t mode) {
  const std::string temporary = path + ".new";
  if (Status written = write_and_flush(temporary, bytes, mode); !written) return written;
  return move_durably(temporary, path);
}

Status flush_folder(const std::string& folder) {
  const std::string path = folder.empty() ? "." : folder;
  const Descriptor dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (dir.get() < 0 || ::fsync(dir.get()) != 0) return failed("cannot flush the folder", path);
  return {};
}

}  // namespace conclave
