/*
 * An addon whose function `fail` reads what is not there, and whose function `wait` waits for a thread that aborts. Node-API's functions are
 * declared here: no headers are needed.
 */
#include <pthread.h>
#include <stdlib.h>

typedef void *value;
typedef value (*callback)(void *environment, void *information);
int napi_create_function(void *, const char *, unsigned long, callback, void *, value *);
int napi_set_named_property(void *, value, const char *, value);

__attribute__((noinline)) static int read_from(volatile int *place) { return *place + 1; }
static value fail(void *environment, void *information) {
  (void)environment, (void)information;
  return (value)(long)read_from((volatile int *)16);
}
static void *end(void *nothing) {
  (void)nothing;
  abort();
}
static value wait(void *environment, void *information) {
  (void)environment, (void)information;
  pthread_t thread;
  pthread_create(&thread, 0, end, 0);
  pthread_join(thread, 0);
  return 0;
}
static void export(void *environment, value exports, const char *name, callback function) {
  const unsigned long auto_length = -1;
  value made;
  napi_create_function(environment, name, auto_length, function, 0, &made);
  napi_set_named_property(environment, exports, name, made);
}
value napi_register_module_v1(void *environment, value exports) {
  export(environment, exports, "fail", fail);
  export(environment, exports, "wait", wait);
  return exports;
}
