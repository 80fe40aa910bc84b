/* What another addon may have done before heapdump-rs is loaded: a handler of its own for SIGUSR2, and an atexit handler
 * that must run in the application alone. A constructor is enough for that, so it needs no header of Node. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void append(const char *text) {
  int fd = open(getenv("NATIVE_HANDLER_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd >= 0) {
    if (write(fd, text, strlen(text)) < 0) _exit(99);
    close(fd);
  }
}

static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)context;
  append(signal == SIGUSR2 && info->si_signo == signal ? "signal\n" : "wrong\n");
}

static void on_exit_of_process(void) { append("atexit\n"); }

__attribute__((constructor)) static void load(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigaction(SIGUSR2, &action, NULL);
  atexit(on_exit_of_process);
}
