// Help texts from the tables: examples first, then the options.
#include "cli.h"

#include <stdio.h>
#include <string.h>

static void put_examples(const command_row *row)
{
    for (size_t i = 0; i < EXAMPLES && row->example[i]; i++) printf("  %s\n", row->example[i]);
}

static void put_option_help(const option_row *row)
{
    char text[400], range[64], standard[80] = "";
    char letter[8] = "    ";
    const char *const by = option_standard(row);
    if (row->letter) snprintf(letter, sizeof letter, "-%c, ", row->letter);
    const int at = printf("  %s--%s%s%s", letter, row->name, row->value ? " " : "", row->value ? row->value : "");
    const bool bounded = option_range(row, range);
    if (by && by[0] == '(')
        snprintf(standard, sizeof standard, "; default: %.*s", (int)strlen(by) - 2, by + 1);
    else if (by)
        snprintf(standard, sizeof standard, "; default: %s", by);
    snprintf(text, sizeof text, "%s%s%s%s", row->help, bounded ? "; " : "", bounded ? range : "", standard);
    if (at >= 27) putchar('\n');
    print_wrapped(stdout, text, at >= 27 ? 0 : at, 28);
}

void print_help(command_id c)
{
    const command_row *row = &command_table[c];
    printf("bptt %s: %s\n\nUsage: bptt %s%s%s [OPTIONS]\n\nExamples:\n", row->name, row->summary, row->name,
           *row->arguments ? " " : "", row->arguments);
    put_examples(row);
    putchar('\n');
    print_wrapped(stdout, row->about, 0, 0);
    printf("\nOptions:\n");
    for (size_t i = 0; i < OPTIONS; i++)
        if (option_belongs((option_id)i, c)) put_option_help(&option_table[i]);
}

void print_overview(void)
{
    printf("bptt: train recurrent models of text, and use them\n\nExamples:\n");
    for (size_t c = 0; c < CMD_BENCH; c++) printf("  %s\n", command_table[c].example[0]);
    printf("\nCommands:\n");
    for (size_t c = 0; c < COMMANDS; c++) printf("  %-9s %s\n", command_table[c].name, command_table[c].summary);
    printf("\nbptt COMMAND --help shows the options of a command. bptt --version prints the version.\n"
           "Results go to standard output, progress and errors to standard error.\n\nExit codes:\n");
#define PRINT_CODE(name, code, text) printf("  %2d  %s\n", code, text);
    EXIT_CODE_LIST(PRINT_CODE)
#undef PRINT_CODE
}
