// Seconds on a clock that never goes back.
#ifndef CLOCK_H
#define CLOCK_H

double seconds_now(void);

#endif
