// Elements of the sums of a window, [1][STATS]. One text for the host and every device language.
#ifndef STATISTICS_H
#define STATISTICS_H

enum {
    STAT_LOSS,    // sum of the losses
    STAT_SUMSQ,   // sum of squares of the gradient
    STAT_BLOCKED, // not 0: a window was not finite, and updates are skipped until the host writes 0
    STAT_SKIPPED, // 1: the update of this window was skipped, to lower the loss scale
    STATS
};

#endif
