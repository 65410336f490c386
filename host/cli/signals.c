// Signals. The two flags are the program's only global variables, since a handler gets no argument.
#define _POSIX_C_SOURCE 200809L

#include "signals.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t leave_signal, save_asked;

// A second signal ends the process. It is blocked in the handler and arrives when the handler returns.
static void on_leave(int number)
{
    if (leave_signal) signals_end(number);
    leave_signal = number;
}

static void on_save(int number)
{
    (void)number;
    save_asked = 1;
}

// SA_RESTART: a write must not fail because of a request to save.
static void handle(int number, void (*handler)(int))
{
    struct sigaction before, now = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&now.sa_mask);
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_IGN) return;
    sigaction(number, &now, NULL);
}

void signals_catch(void)
{
    handle(SIGINT, on_leave);
    handle(SIGTERM, on_leave);
    handle(SIGHUP, on_leave);
    handle(SIGUSR1, on_save);
}

int signals_leave(void) { return leave_signal; }

bool signals_save(void)
{
    const bool asked = save_asked != 0;
    save_asked = 0;
    return asked;
}

void signals_end(int number)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigemptyset(&standard.sa_mask);
    sigaction(number, &standard, NULL);
    raise(number);
}
