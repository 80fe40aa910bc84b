/* What another addon may do in a thread that has ours at V8's heap limit: add a callback of its own. It says when it is asked,
 * and raises nothing; LIMIT_CALLBACK_LEAVES: it takes itself off V8's list then; LIMIT_CALLBACK_COLLECTS: and collects garbage, as
 * @datadog/pprof does in a worker. A constructor is enough for that, so it needs no header of Node. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef size_t (*callback)(void *, size_t, size_t);

static void *isolate;

static void *v8(const char *name) { return dlsym(RTLD_DEFAULT, name); }

static size_t near_limit(void *data, size_t current, size_t initial) {
  (void)data;
  (void)initial;
  const char *line = "the neighbour is asked\n";
  if (write(2, line, strlen(line)) < 0) _exit(99);
  if (getenv("LIMIT_CALLBACK_LEAVES")) {
    void (*leave)(void *, callback, size_t) = v8("_ZN2v87Isolate27RemoveNearHeapLimitCallbackEPFmPvmmEm");
    leave(isolate, near_limit, 0);
  }
  if (getenv("LIMIT_CALLBACK_COLLECTS")) {
    void (*collect)(void *) = v8("_ZN2v87Isolate21LowMemoryNotificationEv");
    collect(isolate);
  }
  return current;
}

__attribute__((constructor)) static void load(void) {
  void *(*current)(void) = v8("_ZN2v87Isolate13TryGetCurrentEv");
  void (*add)(void *, callback, void *) = v8("_ZN2v87Isolate24AddNearHeapLimitCallbackEPFmPvmmES1_");
  isolate = current();
  add(isolate, near_limit, NULL);
}
