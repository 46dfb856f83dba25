// SPDX-License-Identifier: Apache-2.0
#include "service/server_child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace conclave::service {

Result<pid_t> start_server_child(const std::string& name, const std::vector<std::string>& command,
                                 const std::string& log) {
  // All memory before the fork: in the child of a program with threads none may be asked for.
  std::vector<const char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const auto& word : command) arguments.push_back(word.c_str());
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return Error{"Cannot start " + name + ": " + std::strerror(errno)};
  if (pid > 0) return pid;
  // Own process group: Ctrl-C on the terminal is for us, who end it in order.
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  const int null = open("/dev/null", O_RDONLY);
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(null, 0);
  dup2(out, 1);
  dup2(out, 2);
  close_range(3, ~0U, 0);
  execv(arguments[0], const_cast<char* const*>(arguments.data()));
  _exit(127);
}

}  // namespace conclave::service
