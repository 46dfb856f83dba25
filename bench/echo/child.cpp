// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/child.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace conclave::bench::echo {
namespace {

constexpr std::size_t kMostOutput = 64U << 20;
constexpr std::size_t kMostErrorText = 4096;

class Pipe {
 public:
  Pipe() { good_ = pipe2(ends_.data(), O_CLOEXEC) == 0; }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  bool good() const { return good_; }
  int end(std::size_t which) const { return ends_[which]; }
  void close_end(std::size_t which) {
    if (ends_[which] >= 0) close(ends_[which]);
    ends_[which] = -1;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
  bool good_ = false;
};

// Between fork and exec only what is safe in a process of many threads.
[[noreturn]] void become(char* const* words, int input, int output, int errors) {
  setpgid(0, 0);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  execvp(words[0], words);
  const char* why = std::strerror(errno);
  if (write(STDERR_FILENO, why, std::strlen(why)) < 0) _exit(127);
  _exit(127);
}

std::string last_line(const std::string& text) {
  const auto end = text.find_last_not_of(" \r\n\t");
  if (end == std::string::npos) return "it says nothing";
  const auto begin = text.find_last_of('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1,
                     end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

// False at the end of the stream.
bool drain(int from, std::string& to, std::size_t most, bool keep_end) {
  std::array<char, 65536> chunk{};
  const auto got = read(from, chunk.data(), chunk.size());
  if (got < 0) return errno == EINTR;
  if (got == 0) return false;
  to.append(chunk.data(), static_cast<std::size_t>(got));
  if (to.size() > most) keep_end ? to.erase(0, to.size() - most) : to.erase(most);
  return true;
}

}  // namespace

Result<std::vector<std::string>> split_command(const std::string& line) {
  std::vector<std::string> words;
  bool inside = false;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote == 0 && (c == ' ' || c == '\t')) {
      inside = false;
      continue;
    }
    if (!inside) {
      words.emplace_back();
      inside = true;
    }
    if (c == '\\' && quote != '\'') {
      if (++i == line.size()) return Error{"\"" + line + "\": ends in \\"};
      words.back() += line[i];
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (quote != 0 && c == quote) {
      quote = 0;
    } else {
      words.back() += c;
    }
  }
  if (quote != 0) return Error{"\"" + line + "\": a quotation mark is not closed"};
  if (words.empty()) return Error{"an empty command"};
  return words;
}

void fill_in(std::vector<std::string>& words, const std::string& key, const std::string& value) {
  const std::string mark = "{" + key + "}";
  for (auto& word : words) {
    for (std::size_t at = 0; (at = word.find(mark, at)) != std::string::npos; at += value.size())
      word.replace(at, mark.size(), value);
  }
}

Result<ChildResult> run_child(const std::vector<std::string>& words, const std::string& input,
                              double seconds, const std::atomic<bool>& stop) {
  using Clock = std::chrono::steady_clock;
  std::vector<std::string> own(words);
  std::vector<char*> argv(own.size() + 1, nullptr);
  std::ranges::transform(own, argv.begin(), [](std::string& word) { return word.data(); });
  Pipe output;
  Pipe errors;
  const std::string from = input.empty() ? "/dev/null" : input;
  const int in = open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (!output.good() || !errors.good() || in < 0) {
    if (in >= 0) close(in);
    return Error{words[0] + ": cannot be started: " + std::strerror(errno)};
  }
  const pid_t child = fork();
  if (child == 0) become(argv.data(), in, output.end(1), errors.end(1));
  close(in);
  if (child < 0) return Error{words[0] + ": cannot be started: " + std::strerror(errno)};
  setpgid(child, child);
  output.close_end(1);
  errors.close_end(1);

  ChildResult result;
  std::string error_text;
  const auto until = Clock::now() + std::chrono::duration<double>(seconds);
  std::string ended_because;
  std::array<pollfd, 2> waits{pollfd{output.end(0), POLLIN, 0}, pollfd{errors.end(0), POLLIN, 0}};
  int status = 0;
  rusage usage{};
  bool gone = false;
  while (!gone || waits[0].fd >= 0 || waits[1].fd >= 0) {
    const bool was_gone = gone;
    poll(waits.data(), waits.size(), 20);
    if (waits[0].fd >= 0 && waits[0].revents != 0 &&
        !drain(waits[0].fd, result.output, kMostOutput, false)) {
      waits[0].fd = -1;
    }
    if (waits[1].fd >= 0 && waits[1].revents != 0 &&
        !drain(waits[1].fd, error_text, kMostErrorText, true)) {
      waits[1].fd = -1;
    }
    if (!gone) gone = wait4(child, &status, WNOHANG, &usage) == child;
    // A grandchild that keeps the pipes open does not hold us up.
    if (was_gone && waits[0].revents == 0 && waits[1].revents == 0) break;
    if (gone || !ended_because.empty()) continue;
    if (stop) ended_because = "stopped";
    if (Clock::now() > until)
      ended_because = "took longer than " + std::to_string(static_cast<int>(seconds)) +
                      " s and was ended; see --time-limit";
    if (!ended_because.empty()) kill(-child, SIGKILL);
  }
  if (!ended_because.empty()) return Error{words[0] + ": " + ended_because};
  if (WIFSIGNALED(status)) {
    return Error{words[0] + ": was ended by signal " + std::to_string(WTERMSIG(status)) + ": " +
                 last_line(error_text)};
  }
  if (WEXITSTATUS(status) != 0) {
    return Error{words[0] + ": ended with " + std::to_string(WEXITSTATUS(status)) + ": " +
                 last_line(error_text)};
  }
  const auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  result.cpu_seconds = of(usage.ru_utime) + of(usage.ru_stime);
  return result;
}

Result<TempFolder> TempFolder::create() {
  std::error_code failed;
  const auto place = std::filesystem::temp_directory_path(failed);
  std::string path = (failed ? std::string("/tmp") : place.string()) + "/conclave-bench-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) {
    return Error{path + ": cannot be made: " + std::strerror(errno) + "; see TMPDIR"};
  }
  return TempFolder(path);
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

TempFolder& TempFolder::operator=(TempFolder&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

}  // namespace conclave::bench::echo
