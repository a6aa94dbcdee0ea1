/* Preloaded into the server: writes to the file named RECORD_NAME, its syncs, and what goes out on TCP, one line each,
   in one order, to RECORD_FILE:

     write <bytes in hex>          after it went through
     sync                          before it begins
     synced                        after it succeeded
     send <own port> <peer's port> before it begins

   So a "sync" that stands behind a "write" covers it, and a "send" that stands behind its "synced" came later. Each
   sync takes RECORD_SYNC_MS longer: whoever does not wait for it is ahead of it, not only by chance. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define DATA_MAX 65536
#define PATH_BYTES 4096
#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static int record_fd = -1;

/* The system call itself: a write through libc would be recorded as well. */
static void append(const char *line, size_t length) {
  if (record_fd < 0) record_fd = open(getenv("RECORD_FILE"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (syscall(SYS_write, record_fd, line, length) != (ssize_t)length) abort();
}

static int is_recorded(int fd) {
  char link[64], path[PATH_BYTES];
  const char *name = getenv("RECORD_NAME");
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (!name || length < 0) return 0;
  path[length] = '\0';
  const char *slash = strrchr(path, '/');
  return slash && strcmp(slash + 1, name) == 0;
}

static void record_write(int fd, const unsigned char *data, ssize_t length) {
  static char line[2 * DATA_MAX + 16] = "write ";
  static const char digits[] = "0123456789abcdef";
  if (length <= 0 || !is_recorded(fd)) return;
  if (length > DATA_MAX) abort();
  pthread_mutex_lock(&turn);
  size_t at = strlen("write ");
  for (ssize_t i = 0; i < length; i++) {
    line[at++] = digits[data[i] >> 4];
    line[at++] = digits[data[i] & 15];
  }
  line[at++] = '\n';
  append(line, at);
  pthread_mutex_unlock(&turn);
}

static void record(const char *line) {
  pthread_mutex_lock(&turn);
  append(line, strlen(line));
  pthread_mutex_unlock(&turn);
}

static int port_of(const struct sockaddr_storage *address) {
  if (address->ss_family == AF_INET) return ntohs(((const struct sockaddr_in *)address)->sin_port);
  if (address->ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
  return -1;
}

static void record_send(int fd) {
  struct sockaddr_storage own, peer;
  socklen_t own_length = sizeof own, peer_length = sizeof peer;
  char line[64];
  if (getsockname(fd, (struct sockaddr *)&own, &own_length) != 0 || port_of(&own) < 0) return;
  if (getpeername(fd, (struct sockaddr *)&peer, &peer_length) != 0) return;
  snprintf(line, sizeof line, "send %d %d\n", port_of(&own), port_of(&peer));
  record(line);
}

ssize_t write(int fd, const void *data, size_t length) {
  record_send(fd);
  ssize_t written = REAL(ssize_t, write, int, const void *, size_t)(fd, data, length);
  record_write(fd, data, written);
  return written;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
  ssize_t written = REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)(fd, data, length, offset);
  record_write(fd, data, written);
  return written;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
  ssize_t written = REAL(ssize_t, pwrite, int, const void *, size_t, off_t)(fd, data, length, offset);
  record_write(fd, data, written);
  return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  record_send(fd);
  return REAL(ssize_t, writev, int, const struct iovec *, int)(fd, parts, count);
}

ssize_t send(int fd, const void *data, size_t length, int flags) {
  record_send(fd);
  return REAL(ssize_t, send, int, const void *, size_t, int)(fd, data, length, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  record_send(fd);
  return REAL(ssize_t, sendmsg, int, const struct msghdr *, int)(fd, message, flags);
}

static int recorded_sync(int fd, int (*real)(int)) {
  if (!is_recorded(fd)) return real(fd);
  record("sync\n");
  struct timespec delay = {0, atol(getenv("RECORD_SYNC_MS")) * 1000000L};
  nanosleep(&delay, NULL);
  int failed = real(fd);
  if (!failed) record("synced\n");
  return failed;
}

int fsync(int fd) { return recorded_sync(fd, REAL(int, fsync, int)); }

int fdatasync(int fd) { return recorded_sync(fd, REAL(int, fdatasync, int)); }
