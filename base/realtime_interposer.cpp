// SPDX-License-Identifier: Apache-2.0
// Interposes the calls that the audio thread must never make. Linked as an object into programs;
// forwards to glibc after asking realtime::check.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdarg>
#include <cstddef>
#include <ctime>

#include "base/realtime.h"

using conclave::realtime::check;

namespace {
template <typename F>
F next(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}
}  // namespace

extern "C" {

int conclave_realtime_interposer_linked() { return 1; }

// The C library's own names for what is interposed here.
// NOLINTBEGIN(bugprone-reserved-identifier)
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);
// NOLINTEND(bugprone-reserved-identifier)

void* malloc(std::size_t size) {
  check("malloc");
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  check("calloc");
  return __libc_calloc(count, size);
}
void* realloc(void* p, std::size_t size) {
  check("realloc");
  return __libc_realloc(p, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  check("memalign");
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  check("aligned_alloc");
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** p, std::size_t alignment, std::size_t size) {
  check("posix_memalign");
  *p = __libc_memalign(alignment, size);
  return *p == nullptr ? 12 /* ENOMEM */ : 0;
}
void free(void* p) {
  if (p != nullptr) check("free");
  __libc_free(p);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) {
  static auto real = next<int (*)(pthread_mutex_t*)>("pthread_mutex_lock");
  check("pthread_mutex_lock");
  return real(mutex);
}
int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  static auto real = next<int (*)(pthread_cond_t*, pthread_mutex_t*)>("pthread_cond_wait");
  check("pthread_cond_wait");
  return real(condition, mutex);
}
int pthread_rwlock_rdlock(pthread_rwlock_t* lock) {
  static auto real = next<int (*)(pthread_rwlock_t*)>("pthread_rwlock_rdlock");
  check("pthread_rwlock_rdlock");
  return real(lock);
}
int pthread_rwlock_wrlock(pthread_rwlock_t* lock) {
  static auto real = next<int (*)(pthread_rwlock_t*)>("pthread_rwlock_wrlock");
  check("pthread_rwlock_wrlock");
  return real(lock);
}
int nanosleep(const struct timespec* wanted, struct timespec* left) {
  static auto real = next<int (*)(const timespec*, timespec*)>("nanosleep");
  check("nanosleep");
  return real(wanted, left);
}
ssize_t read(int fd, void* buffer, std::size_t count) {
  static auto real = next<ssize_t (*)(int, void*, std::size_t)>("read");
  check("read");
  return real(fd, buffer, count);
}
ssize_t write(int fd, const void* buffer, std::size_t count) {
  static auto real = next<ssize_t (*)(int, const void*, std::size_t)>("write");
  check("write");
  return real(fd, buffer, count);
}
int open(const char* path, int flags, ...) {
  static auto real = next<int (*)(const char*, int, ...)>("open");
  check("open");
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return real(path, flags, mode);
}

}  // extern "C"
