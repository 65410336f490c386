// Trains a small network on two sentences, then samples from it.
#include <bptt.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    const char *text = "she sells sea shells by the sea shore; the shells she sells are sea shells, I'm sure. "
                       "for if she sells sea shells by the sea shore, then I'm sure she sells sea shore shells. ";
    bptt_trainer_config c;
    bptt_trainer_defaults(&c);
    c.model.hidden = 64, c.batch = 4, c.steps = 16, c.rate = 1e-2, c.valid = 0, c.iterations = 300;

    bptt_trainer *t = NULL;
    bptt_error e;
    if (bptt_trainer_open(&c, text, strlen(text), &t, &e)) return fprintf(stderr, "%s\n", e.words), 1;
    bptt_report report = {0};
    for (int i = 0; i < 300; i++)
        if (bptt_trainer_step(t, &report, &e)) return fprintf(stderr, "%s\n", e.words), 1;
    printf("loss %.2f nats a character\n", report.loss);

    bptt_run *r = NULL;
    bptt_run_config one;
    bptt_run_defaults(&one); // one stream, one step at a time
    if (bptt_run_open(bptt_trainer_model(t), &one, &r, &e)) return 1;
    const unsigned char *byte;
    size_t V;
    bptt_model_vocabulary(bptt_trainer_model(t), &byte, &V);
    float logp[256];
    uint64_t random = 1;
    for (int32_t i = 0, token = 0; i < 80; i++) { // token 0 is the blank
        if (bptt_run_next(r, &token, logp, &e)) return 1;
        token = bptt_pick(logp, V, 0.5, &random);
        putchar(byte[token]);
    }
    putchar('\n');
    bptt_run_close(r);
    bptt_trainer_close(t);
}
