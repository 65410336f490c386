// Signals: SIGINT, SIGTERM, SIGHUP save and exit, a second one exits at once; SIGUSR1 saves.
#ifndef SIGNALS_H
#define SIGNALS_H

#include <stdbool.h>

void signals_start(void); // first in main
// Once devices are open: their drivers may have set handlers (LLVM in PoCL does). What was ignored when the program
// started stays ignored (nohup).
void signals_catch(void);
int signals_leave(void);      // the signal that requests to exit; 0: none
bool signals_save(void);      // true if a save was requested since the last call
void signals_end(int number); // ends the process by that signal

#endif
