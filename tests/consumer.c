// The program of tests/consumers.sh, compiled against an installed bptt as C11 and as C++17. It trains for a few
// updates and prints the loss; the device goes to stderr. SAVED: a file to save the state to. With an argument it
// prints its text.
#include <bptt.h>

#include <stdio.h>
#include <string.h>

#ifndef SAVED
#define SAVED NULL
#endif

#ifdef OWN_NAMES
int own_names_work(void);
#else
static int own_names_work(void) { return 1; }
#endif

static int failed(bptt_error e) { return fprintf(stderr, "%s\n", e.words), 1; }

int main(int n, char **argument)
{
    const char *const text = "she sells sea shells by the sea shore; the shells she sells are sea shells, I'm sure. ";
    const char *const saved = SAVED;
    if (n > 1) return argument[1][0] ? fputs(text, stdout) < 0 : 1;
    bptt_trainer_config c;
    bptt_trainer_defaults(&c);
    c.model.hidden = 48;
    c.model.compute.backend = "cpu";
    c.model.compute.threads = 1;
    c.batch = 2;
    c.steps = 8;
    c.rate = 1e-2;
    c.valid = 0;
    c.iterations = 20;

    bptt_trainer *t = NULL;
    bptt_error e;
    bptt_report report;
    memset(&report, 0, sizeof report);
    if (bptt_trainer_open(&c, text, strlen(text), &t, &e)) return failed(e);
    for (int i = 0; i < 20; i++)
        if (bptt_trainer_step(t, &report, &e)) return failed(e);
    if (saved && bptt_trainer_save(t, saved, &e)) return failed(e);
    bptt_device_info info;
    bptt_model_device(bptt_trainer_model(t), &info);
    fprintf(stderr, "%s\n", info.device);
    bptt_trainer_close(t);
    if (!own_names_work()) return fprintf(stderr, "the program's own functions are not called\n"), 1;
    printf("%.4f\n", report.loss);
    return 0;
}
