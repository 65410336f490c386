#include "pace.h"

enum {
    SUSPECT = 3,   // windows in a row with long waits before one thread is tried
    TRIAL = 4,     // windows of a trial
    PATIENCE = 16, // windows before the other way is tried again; doubled each time it is slower
    PATIENCE_MOST = 512
};
static const double LONG_WAIT = 0.25; // of a window: quiet cores wait less, for want of tiles of equal length

void pace_begin(pace *p) { *p = (pace){.patience = PATIENCE}; }

static void turn(pace *p)
{
    p->alone = !p->alone, p->trying = true, p->left = TRIAL;
    p->seconds[!p->alone] = 0;
}

static void judge(pace *p)
{
    p->trying = false;
    if (p->seconds[!p->alone] <= p->seconds[p->alone]) { // what was tried is faster
        p->patience = PATIENCE;
    } else {
        p->alone = !p->alone;
        p->patience = p->patience < PATIENCE_MOST ? 2 * p->patience : PATIENCE_MOST;
    }
    p->left = p->patience, p->suspect = 0;
}

void pace_took(pace *p, double seconds, double waited)
{
    double *const mean = &p->seconds[!p->alone];
    if (p->trying)
        *mean += seconds / TRIAL;
    else
        *mean = *mean > 0 ? *mean + (seconds - *mean) / 8 : seconds;
    if (p->left > 0) p->left--;
    if (p->trying) {
        if (p->left == 0) judge(p);
        return;
    }
    p->suspect = !p->alone && waited > LONG_WAIT * seconds ? p->suspect + 1 : 0;
    if (p->left == 0 && (p->alone || p->suspect >= SUSPECT)) turn(p);
}
