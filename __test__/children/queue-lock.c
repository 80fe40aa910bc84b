// Loaded before all others (LD_PRELOAD): another thread holds the lock of V8's task queue at every fork, as the thread of
// another isolate may that is just posting a task. The lock is the one that node::NodePlatform takes when it is handed one.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

static int (*lock_mutex)(pthread_mutex_t *);
static _Atomic(pthread_mutex_t *) queue_lock;
static _Thread_local int is_looking;
static sem_t take, taken, give_back, given_back;

// The function that takes it, by version: Node.js 20, then later ones.
static const char *const names[] = {
  "_ZN4node12NodePlatform18CallOnWorkerThreadESt10unique_ptrIN2v84TaskESt14default_deleteIS3_EE",
  "_ZN4node12NodePlatform26PostTaskOnWorkerThreadImplEN2v812TaskPriorityESt10unique_ptrINS1_4TaskESt14default_deleteIS4_EE"
  "RKNS1_14SourceLocationE",
};
static char *function_start, *function_end;

// Once: dladdr(3) walks all of Node's symbols, and this would be asked for every lock.
static void find_function(void) {
  for (unsigned i = 0; i < sizeof names / sizeof *names && !function_start; i++) {
    char *start = dlsym(RTLD_DEFAULT, names[i]);
    const ElfW(Sym) *symbol = 0;
    Dl_info info;
    if (!start || !dladdr1(start, &info, (void **)&symbol, RTLD_DL_SYMENT) || !symbol) continue;
    function_end = start + symbol->st_size;
    function_start = start;
  }
}

static int is_posted_to_worker(void) {
  void *frames[8];
  int count = backtrace(frames, 8);
  for (int i = 0; i < count; i++) {
    char *frame = frames[i];
    if (frame > function_start && frame <= function_end) return 1;
  }
  return 0;
}

int pthread_mutex_lock(pthread_mutex_t *mutex) {
  if (!lock_mutex) lock_mutex = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
  if (function_start && !queue_lock && !is_looking) {
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
  find_function();
  sem_init(&take, 0, 0);
  sem_init(&taken, 0, 0);
  sem_init(&give_back, 0, 0);
  sem_init(&given_back, 0, 0);
  pthread_create(&thread, 0, hold, 0);
  pthread_atfork(before_fork, after_fork, 0);
}
