// bptt: the program. Finds the subcommand, parses its options, runs it.
#define _POSIX_C_SOURCE 200809L

#include "cli.h"
#include "signals.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static exit_code run_help(const options *o)
{
    command_id c;
    if (o->value[OPT_MAN].given) {
        print_man();
    } else if (o->arguments == 0) {
        print_overview();
    } else if (command_find(o->argument[0], &c)) {
        print_help(c);
    } else {
        complain("unknown command '%.100s'; see bptt --help", o->argument[0]);
        return CODE_USAGE;
    }
    return CODE_OK;
}

static exit_code (*const command_run[COMMANDS])(const options *o) = {
    [CMD_TRAIN] = run_train,     [CMD_SAMPLE] = run_sample,   [CMD_SCORE] = run_score,
    [CMD_PREDICT] = run_predict, [CMD_INSPECT] = run_inspect, [CMD_DEVICES] = run_devices,
    [CMD_BENCH] = run_bench,     [CMD_VERIFY] = run_verify,   [CMD_HELP] = run_help,
};

static exit_code unknown_command(const char *name)
{
    const char *near = suggest_command(name);
    if (near)
        complain("unknown command '%.60s'; did you mean %s?", name, near);
    else
        complain("unknown command '%.60s'; see bptt --help", name);
    return CODE_USAGE;
}

static exit_code dispatch(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    command_id c;
    if (argc < 2) {
        complain("a command is missing: bptt train|sample|score|predict|inspect|devices|bench|verify; see bptt --help");
        return CODE_USAGE;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("bptt %s\n", bptt_version());
        return CODE_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = command_table[CMD_HELP].name;
    if (!command_find(name, &c)) return unknown_command(name);
    options o;
    char words[OPTIONS_WORDS];
    if (!options_parse(c, argc - 2, argv + 2, &o, words)) {
        complain("%s", words);
        return CODE_USAGE;
    }
    if (o.value[OPT_HELP].given) {
        print_help(c);
        return CODE_OK;
    }
    if (!options_agree(&o, words)) {
        complain("%s", words);
        return CODE_CONFIG;
    }
    return command_run[c](&o);
}

int main(int argc, char **argv)
{
    signals_start();
    // A closed standard stream must not become the descriptor of the next opened file.
    for (int fd = 0; fd >= 0 && fd <= STDERR_FILENO;) {
        fd = open("/dev/null", O_RDWR);
        if (fd > STDERR_FILENO) close(fd);
    }
    const exit_code code = dispatch(argc, argv);
    const exit_code written = flush_output();
    return code != CODE_OK ? (int)code : (int)written;
}
