// Requests by signals: SIGINT, SIGTERM, SIGHUP save and leave, and at once when they come again; SIGUSR1 saves.
#ifndef SIGNALS_H
#define SIGNALS_H

#include <stdbool.h>

void signals_catch(void);     // a signal that is ignored on entry stays ignored (nohup)
int signals_leave(void);      // the signal that asked to leave; 0: none
bool signals_save(void);      // whether a save was asked for since the last call
void signals_end(int number); // ends the process by that signal

#endif
