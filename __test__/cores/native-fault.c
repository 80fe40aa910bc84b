/* An addon whose function `fail` reads what is not there. Node-API's functions are declared here: no headers are needed. */
typedef void *value;
typedef value (*callback)(void *environment, void *information);
int napi_create_function(void *, const char *, unsigned long, callback, void *, value *);
int napi_set_named_property(void *, value, const char *, value);

__attribute__((noinline)) static int read_from(volatile int *place) { return *place + 1; }
static value fail(void *environment, void *information) {
  (void)environment, (void)information;
  return (value)(long)read_from((volatile int *)16);
}
value napi_register_module_v1(void *environment, value exports) {
  value function;
  napi_create_function(environment, "fail", 4, fail, 0, &function);
  napi_set_named_property(environment, exports, "fail", function);
  return exports;
}
