// Loaded before all others (LD_PRELOAD): another thread holds the lock of V8's task queue at every fork, as the thread of
// another isolate may that is just posting a task. The lock is the one that node::NodePlatform takes when it is handed one.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

static int (*lock_mutex)(pthread_mutex_t *);
static _Atomic(pthread_mutex_t *) queue_lock;
static _Thread_local int is_looking;
static sem_t take, taken, give_back, given_back;

static int is_posted_to_worker(void) {
  void *frames[8];
  int count = backtrace(frames, 8);
  for (int i = 0; i < count; i++) {
    Dl_info info;
    if (!dladdr(frames[i], &info) || !info.dli_sname) continue;
    if (strstr(info.dli_sname, "NodePlatform26PostTaskOnWorkerThreadImpl")) return 1;
    if (strstr(info.dli_sname, "NodePlatform18CallOnWorkerThread")) return 1;
  }
  return 0;
}

int pthread_mutex_lock(pthread_mutex_t *mutex) {
  if (!lock_mutex) lock_mutex = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
  if (!queue_lock && !is_looking) {
    is_looking = 1;
    if (is_posted_to_worker()) queue_lock = mutex;
    is_looking = 0;
  }
  return lock_mutex(mutex);
}

static void *hold(void *unused) {
  for (;;) {
    sem_wait(&take);
    pthread_mutex_lock(queue_lock);
    sem_post(&taken);
    sem_wait(&give_back);
    pthread_mutex_unlock(queue_lock);
    sem_post(&given_back);
  }
  return unused;
}

static void before_fork(void) {
  // Without the lock nothing would be tested.
  if (!queue_lock) abort();
  sem_post(&take);
  sem_wait(&taken);
}

static void after_fork(void) {
  sem_post(&give_back);
  sem_wait(&given_back);
}

__attribute__((constructor)) static void start(void) {
  pthread_t thread;
  sem_init(&take, 0, 0);
  sem_init(&taken, 0, 0);
  sem_init(&give_back, 0, 0);
  sem_init(&given_back, 0, 0);
  pthread_create(&thread, 0, hold, 0);
  pthread_atfork(before_fork, after_fork, 0);
}
