// Signals: SIGINT, SIGTERM, SIGHUP save and exit, a second one exits at once; SIGUSR1 saves.
#ifndef SIGNALS_H
#define SIGNALS_H

#include <stdbool.h>

void signals_catch(void);     // signals ignored at start stay ignored (nohup)
int signals_leave(void);      // the signal that requests to exit; 0: none
bool signals_save(void);      // true if a save was requested since the last call
void signals_end(int number); // ends the process by that signal

#endif
