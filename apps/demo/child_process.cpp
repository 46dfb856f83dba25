// SPDX-License-Identifier: Apache-2.0
#include "apps/demo/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

namespace conclave::apps {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kStep = std::chrono::milliseconds(20);

}  // namespace

Result<ChildProcess> ChildProcess::start(Options options) {
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) {
    return Error{"cannot make a pipe for " + options.name + ": " + std::strerror(errno)};
  }
  const int log = open(options.log_file.empty() ? "/dev/null" : options.log_file.c_str(),
                       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (log < 0) {
    const std::string why = std::strerror(errno);
    close(out[0]);
    close(out[1]);
    return Error{"cannot write " + options.log_file + ": " + why};
  }
  std::vector<char*> arguments;
  for (std::string& a : options.command) arguments.push_back(a.data());
  arguments.push_back(nullptr);

  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127);
    dup2(out[1], STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    const int null = open("/dev/null", O_RDONLY);
    if (null >= 0) dup2(null, STDIN_FILENO);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const auto& [key, value] : options.environment) setenv(key.c_str(), value.c_str(), 1);
    execvp(arguments[0], arguments.data());
    dprintf(STDERR_FILENO, "cannot start %s: %s\n", arguments[0], std::strerror(errno));
    _exit(127);
  }
  close(out[1]);
  close(log);
  if (pid < 0) {
    close(out[0]);
    return Error{"cannot start " + options.name + ": " + std::strerror(errno)};
  }
  fcntl(out[0], F_SETFL, O_NONBLOCK);
  ChildProcess child(std::move(options));
  child.pid_ = pid;
  child.out_ = out[0];
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : options_(std::move(other.options_)),
      pid_(std::exchange(other.pid_, -1)),
      out_(std::exchange(other.out_, -1)),
      exit_code_(other.exit_code_),
      pending_(std::move(other.pending_)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    stop();
    if (out_ >= 0) close(out_);
    options_ = std::move(other.options_);
    pid_ = std::exchange(other.pid_, -1);
    out_ = std::exchange(other.out_, -1);
    exit_code_ = other.exit_code_;
    pending_ = std::move(other.pending_);
  }
  return *this;
}

ChildProcess::~ChildProcess() {
  stop();
  if (out_ >= 0) close(out_);
}

Result<std::string> ChildProcess::read_line(std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    if (const auto end = pending_.find('\n'); end != std::string::npos) {
      std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return line;
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) {
      return Error{options_.name + " did not answer in time; its log says: " + last_words()};
    }
    pollfd waiting{out_, POLLIN, 0};
    const int ready =
        poll(&waiting, 1, static_cast<int>(std::min(left, std::chrono::milliseconds(200)).count()));
    if (ready <= 0) continue;
    char buffer[4096];
    const ssize_t got = read(out_, buffer, sizeof buffer);
    if (got > 0) {
      pending_.append(buffer, static_cast<std::size_t>(got));
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
      wait(std::chrono::seconds(1));
      return Error{options_.name + " ended (exit code " + std::to_string(exit_code_) +
                   "); its log says: " + last_words()};
    }
  }
}

void ChildProcess::drain() {
  char buffer[4096];
  while (out_ >= 0 && read(out_, buffer, sizeof buffer) > 0) {
  }
}

bool ChildProcess::reap(bool block) {
  if (pid_ <= 0) return true;
  int status = 0;
  const pid_t ended = waitpid(pid_, &status, block ? 0 : WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return false;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  pid_ = -1;
  return true;
}

bool ChildProcess::running() { return !reap(false); }

bool ChildProcess::wait(std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  while (!reap(false)) {
    if (Clock::now() >= deadline) return false;
    drain();
    std::this_thread::sleep_for(kStep);
  }
  return true;
}

bool ChildProcess::stop(std::chrono::milliseconds patience) {
  if (!running()) return true;
  kill(pid_, SIGTERM);
  if (wait(patience)) return true;
  kill(-pid_, SIGKILL);
  reap(true);
  return false;
}

std::string ChildProcess::last_words() const {
  std::ifstream in(options_.log_file);
  std::string line;
  std::string last = "(nothing)";
  while (std::getline(in, line)) {
    if (!line.empty()) last = line;
  }
  return last;
}

}  // namespace conclave::apps
