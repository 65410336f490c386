// Progress on standard error.
#define _POSIX_C_SOURCE 200809L

#include "progress.h"

#include "cli.h"
#include "error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TERMINAL_EVERY 0.1 // seconds between lines
#define PLAIN_EVERY 5.0

static bool on_a_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

void progress_start(progress *p, bool quiet, const bptt_trainer_info *info, size_t chars_per_update)
{
    *p = (progress){.on = !quiet,
                    .first = info->iteration,
                    .last = info->iterations,
                    .chars = chars_per_update,
                    .windows = info->windows,
                    .started = bptt_seconds(),
                    .terminal = on_a_terminal()};
    p->shown = p->started;
    p->shown_iteration = p->first;
}

void progress_time(char out[24], double seconds)
{
    const unsigned long s = seconds < 3.6e9 ? (unsigned long)(seconds + 0.5) : 3600000000ul;
    if (s >= 3600)
        snprintf(out, 24, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 24, "%lu:%02lu", s / 60, s % 60);
}

static void truncate_line(char *line, size_t columns)
{
    if (columns > 0 && strlen(line) > columns) line[columns] = '\0';
}

void progress_line(char out[160], const progress *p, uint64_t iteration, const bptt_report *report, double left,
                   size_t columns)
{
    const char *const unit = p->dense ? "step" : "char";
    char time[24] = "?", rate[32], loss[32], bpc[32] = "", grad[32], skipped[40] = "";
    if (left >= 0) progress_time(time, left);
    if (p->rate >= 1e6)
        snprintf(rate, sizeof rate, "%.2fM %s/s", p->rate / 1e6, unit);
    else if (p->rate > 0)
        snprintf(rate, sizeof rate, "%.1fk %s/s", p->rate / 1e3, unit);
    else
        snprintf(rate, sizeof rate, "? %s/s", unit);
    if (!p->dense) snprintf(bpc, sizeof bpc, "bpc %.3f ", report->loss / NATS_PER_BIT);
    snprintf(grad, sizeof grad, "grad %.3g ", report->grad_norm);
    if (p->skipped) snprintf(skipped, sizeof skipped, ", %" PRIu64 " skipped", p->skipped);
    const double epoch = p->windows ? (double)iteration / (double)p->windows : 0;
    for (int without = 0; without < 4; without++) {
        snprintf(out, 160, "%" PRIu64 "/%" PRIu64 " epoch %.2f loss %s %s%s%s%s%s left%s", iteration, p->last, epoch,
                 loss_figure(p->dense, report->loss, loss), without < 2 ? bpc : "", without < 1 ? grad : "",
                 without < 3 ? rate : "", without < 3 ? " " : "", time, skipped);
        if (columns == 0 || strlen(out) <= columns) break;
    }
    truncate_line(out, columns);
}

static bool is_time(const progress *p, double now)
{
    return now - p->shown >= (p->terminal ? TERMINAL_EVERY : PLAIN_EVERY);
}

// Width of the terminal in columns, minus one to avoid wrapping; 0: unknown.
static size_t columns_of(const progress *p)
{
    struct winsize size;
    if (!p->terminal || ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return 0;
    return size.ws_col - 1u;
}

// end: true for the last line, which is not erased.
static void show_line(progress *p, const char *line, bool end)
{
    if (!p->terminal) {
        fprintf(stderr, "%s\n", line);
        return;
    }
    fprintf(stderr, "\r%s\033[K%s", line, end ? "\n" : "");
    fflush(stderr);
    p->shows = !end;
}

// At the end the time since the last line may be too short for a rate.
static void update_rate(progress *p, uint64_t iteration, double now, bool end)
{
    const double since = now - p->shown;
    const double recent = since > 0 ? (double)(iteration - p->shown_iteration) * (double)p->chars / since : 0;
    if (p->rate > 0 && end && !is_time(p, now)) return;
    p->rate = p->rate > 0 && p->terminal ? 0.9 * p->rate + 0.1 * recent : recent;
}

void progress_update(progress *p, uint64_t iteration, const bptt_report *report)
{
    if (!p->on) return;
    if (report->skipped) p->skipped++;
    const double now = bptt_seconds();
    const bool end = iteration == p->last;
    if (!end && !is_time(p, now)) return;
    update_rate(p, iteration, now, end);
    p->shown = now;
    p->shown_iteration = iteration;
    const double done = (double)(iteration - p->first);
    const double left = done > 0 ? (now - p->started) / done * (double)(p->last - iteration) : -1;
    char line[160];
    progress_line(line, p, iteration, report, left, columns_of(p));
    show_line(p, line, end);
}

void share_start(share_progress *p, bool quiet)
{
    *p = (share_progress){.line = {.on = !quiet, .terminal = on_a_terminal()}};
}

void share_line(char out[160], const char *what, double done, double seconds)
{
    char time[24] = "?", rate[24] = "?";
    if (done > 0 && seconds > 0) {
        progress_time(time, seconds / done * (1 - done));
        snprintf(rate, sizeof rate, "%.1f", 6000 * done / seconds);
    }
    snprintf(out, 160, "%.90s: %.1f %%, %s %%/min, %s left", what, 100 * done, rate, time);
}

void share_update(share_progress *p, const char *what, double done)
{
    if (!p->line.on) return;
    const double now = bptt_seconds();
    if (what != p->what) {
        p->what = what;
        p->line.started = p->line.shown = now;
    }
    if (!is_time(&p->line, now)) return;
    p->line.shown = now;
    char line[160];
    share_line(line, what, done, now - p->line.started);
    truncate_line(line, columns_of(&p->line));
    show_line(&p->line, line, false);
}

void progress_clear(progress *p)
{
    if (!p->shows) return;
    fputs("\r\033[K", stderr);
    p->shows = false;
}
