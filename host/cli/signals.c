// Signals. The program's only global variables are here, since a handler gets no argument.
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

static const struct {
    int number;
    void (*handler)(int);
} CAUGHT[] = {{SIGINT, on_leave}, {SIGTERM, on_leave}, {SIGHUP, on_leave}, {SIGUSR1, on_save}};
enum { CATCHES = sizeof CAUGHT / sizeof CAUGHT[0] };
static bool ignored_at_start[CATCHES];

// SA_RESTART: a write must not fail because of a request to save.
static void handle(int number, void (*handler)(int))
{
    struct sigaction now = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&now.sa_mask);
    sigaction(number, &now, NULL);
}

// A closed pipe and a file at its size limit become failed writes with a message, not fatal signals.
static void ignore_writes(void)
{
    handle(SIGPIPE, SIG_IGN);
    handle(SIGXFSZ, SIG_IGN);
}

void signals_start(void)
{
    struct sigaction before;
    for (size_t i = 0; i < CATCHES; i++)
        ignored_at_start[i] = sigaction(CAUGHT[i].number, NULL, &before) == 0 && before.sa_handler == SIG_IGN;
    ignore_writes();
}

void signals_catch(void)
{
    for (size_t i = 0; i < CATCHES; i++) handle(CAUGHT[i].number, ignored_at_start[i] ? SIG_IGN : CAUGHT[i].handler);
    ignore_writes();
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
