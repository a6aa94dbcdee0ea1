/* Preloaded into the server: each sync of a file takes SLOW_SYNC_MS longer, as on network storage. At the end of the
   process the number of syncs is written to SLOW_SYNC_COUNT_FILE. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static atomic_long syncs;

static void wait_longer(void) {
  const char *ms = getenv("SLOW_SYNC_MS");
  long nanoseconds = (ms ? atol(ms) : 0) * 1000000L;
  struct timespec delay = {nanoseconds / 1000000000L, nanoseconds % 1000000000L};
  atomic_fetch_add(&syncs, 1);
  nanosleep(&delay, NULL);
}

int fsync(int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  wait_longer();
  return real(fd);
}

int fdatasync(int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  wait_longer();
  return real(fd);
}

int sync_file_range(int fd, long long offset, long long bytes, unsigned int flags) {
  int (*real)(int, long long, long long, unsigned int) =
      (int (*)(int, long long, long long, unsigned int))dlsym(RTLD_NEXT, "sync_file_range");
  wait_longer();
  return real(fd, offset, bytes, flags);
}

__attribute__((destructor)) static void write_count(void) {
  const char *path = getenv("SLOW_SYNC_COUNT_FILE");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file) return;
  fprintf(file, "%ld", atomic_load(&syncs));
  fclose(file);
}
