// Choice between all threads and the caller's alone, for each window. If another program keeps a core busy, the caller
// waits at the end of each op for a thread that has lost its core, and one thread can be faster. Both are timed in turn
// then, the slower one ever more rarely. Results do not depend on it.
#ifndef PACE_H
#define PACE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct pace {
    double seconds[2];     // of a window on one thread, on all
    size_t left, patience; // windows until the other way is tried; how many there were last time
    size_t suspect;        // windows in a row in which the caller waited long
    bool alone, trying;
} pace;

void pace_begin(pace *p); // for another plan
// After a window that took so many seconds, of which the caller waited for others.
void pace_took(pace *p, double seconds, double waited);
static inline bool pace_alone(const pace *p) { return p->alone; } // how the next window is to run

#endif
