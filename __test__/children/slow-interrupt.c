/* Loaded before all others (LD_PRELOAD): a machine so busy that the thread which asks V8 for an interrupt is halted in the middle of
 * that, with a lock of the isolate, and that a fork comes late. A child that is forked then says so: it may wait for that lock for
 * ever, if V8 is marking. V8's locks of an isolate are recursive ones (Node.js 20 and 22; later versions have their own). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int (*unlock_mutex)(pthread_mutex_t *);
static pid_t (*real_fork)(void);
static pid_t main_process;
static _Atomic int is_held;

__attribute__((constructor)) static void load(void) {
  unlock_mutex = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
  real_fork = dlsym(RTLD_NEXT, "fork");
  main_process = getpid();
}

int pthread_mutex_unlock(pthread_mutex_t *mutex) {
  char name[16] = "";
  if ((mutex->__data.__kind & 3) == PTHREAD_MUTEX_RECURSIVE_NP && mutex->__data.__count == 1) prctl(PR_GET_NAME, name);
  if (strcmp(name, "heapdump") != 0 || getpid() != main_process) return unlock_mutex(mutex);
  is_held = 1;
  usleep(400 * 1000);
  is_held = 0;
  return unlock_mutex(mutex);
}

pid_t fork(void) {
  usleep(200 * 1000);
  pid_t child = real_fork();
  const char *line = "forked with a lock that is held\n";
  if (child == 0 && is_held && write(2, line, strlen(line)) < 0) _exit(99);
  return child;
}
