// The manual page, in mdoc, from the same tables as the parser.
#include "cli.h"

#include <stdio.h>
#include <string.h>

#define LINE 76 // columns of the source

static void put_word(const char *word, int n)
{
    for (int i = 0; i < n; i++)
        if (word[i] == '\\')
            fputs("\\e", stdout);
        else if (word[i] == '-' && (i == 0 || word[i - 1] == '-'))
            fputs("\\-", stdout);
        else
            putchar(word[i]);
}

// Prints text and a newline: each sentence starts a new line, as mdoc recommends, and long sentences are wrapped.
static void put_sentences(const char *text)
{
    int at = 0;
    while (*text) {
        const int n = (int)strcspn(text, " ");
        if (at > 0 && at + 1 + n > LINE) {
            putchar('\n');
            at = 0;
        }
        if (at > 0)
            putchar(' ');
        else if (*text == '.' || *text == '\'')
            fputs("\\&", stdout); // mdoc would take it for a macro
        put_word(text, n);
        at += 1 + n;
        if (text[n - 1] == '.' && text[n]) {
            putchar('\n');
            at = 0;
        }
        text += n + (text[n] == ' ');
    }
    putchar('\n');
}

// Prints arguments of a macro; escapes single punctuation, which mdoc would interpret.
static void put_arguments(const char *text)
{
    for (const char *c = text; *c; c++)
        if (*c == '|')
            fputs(" | ", stdout);
        else if (*c == '\\')
            fputs("\\e", stdout);
        else
            putchar(*c);
}

static void put_option_mdoc(const option_row *row)
{
    char text[400], range[64];
    fputs(".It", stdout);
    if (row->letter) printf(" Fl %c ,", row->letter);
    printf(" Fl \\-%s", row->name);
    if (row->kind == KIND_WORD) {
        fputs(" Cm ", stdout);
        put_arguments(row->value);
    } else if (row->value) {
        printf(" Ar %s", row->value);
    }
    putchar('\n');
    if (option_range(row, range))
        snprintf(text, sizeof text, "%s (%s).", row->help, range);
    else
        snprintf(text, sizeof text, "%s.", row->help);
    put_sentences(text);
    const char *const by = option_standard(row);
    if (!by) return;
    const bool words = by[0] == '(';
    snprintf(text, sizeof text, "Default: %.*s.", (int)strlen(by) - (words ? 2 : 0), by + words);
    put_sentences(text);
}

static void put_command(command_id c)
{
    const command_row *row = &command_table[c];
    printf(".Ss bptt %s\n", row->name);
    put_sentences(row->about);
    fputs(".Bl -tag -width Ds\n", stdout);
    for (size_t i = 0; i < OPTIONS; i++)
        if (i != OPT_HELP && option_belongs((option_id)i, c)) put_option_mdoc(&option_table[i]);
    puts(".El");
}

static void put_synopsis(void)
{
    puts(".Sh SYNOPSIS");
    for (size_t c = 0; c < COMMANDS; c++) {
        printf(".Nm bptt\n.Cm %s\n.Op Ar options\n", command_table[c].name);
        if (*command_table[c].arguments == '[')
            printf(".Op Ar %.*s\n", (int)strlen(command_table[c].arguments) - 2, command_table[c].arguments + 1);
        else if (*command_table[c].arguments)
            printf(".Ar %s\n", command_table[c].arguments);
    }
}

void print_man(void)
{
    puts(".Dd January 1, 2026\n.Dt BPTT 1\n.Os\n"
         ".Sh NAME\n.Nm bptt\n.Nd train recurrent models of text, and use them");
    put_synopsis();
    puts(".Sh DESCRIPTION\n.Nm\n"
         "trains character-level recurrent language models by backpropagation through\n"
         "time, and samples from and scores with them.\n"
         "Results go to standard output, progress and errors to standard error.\n"
         "Options may stand before and after arguments; every command takes\n.Fl \\-help .");
    for (size_t c = 0; c < CMD_HELP; c++) put_command((command_id)c);
    puts(".Sh EXIT STATUS\n.Bl -tag -width Ds");
#define PUT_CODE(name, code, text) printf(".It %d\n%s\n", code, text);
    EXIT_CODE_LIST(PUT_CODE)
#undef PUT_CODE
    puts(".El\n.Pp\nA\n.Cm train\nthat is stopped by a signal saves and then ends by that signal.\n"
         ".Sh EXAMPLES\n.Bd -literal");
    for (size_t c = 0; c < CMD_HELP; c++)
        for (size_t i = 0; i < EXAMPLES && command_table[c].example[i]; i++) puts(command_table[c].example[i]);
    puts(".Ed");
}
