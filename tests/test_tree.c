// House rules that a program can check: sizes of files, functions and lines, unique names, include rules, no #if inside
// functions, and the program printed in README.md is the one that is compiled.
#include "near.h"
#include "suite.h"

#include <dirent.h>
#include <sys/stat.h>

#ifndef TEST_ROOT
#define TEST_ROOT "."
#endif

enum { FILES = 800, PATH = 200 };

typedef struct source {
    char path[PATH]; // from the root: host/run.c
    char *text;      // NUL-terminated
} source;

typedef struct tree {
    size_t n;
    source *at;
} tree;

static bool ends(const char *s, const char *with)
{
    const size_t n = strlen(s), m = strlen(with);
    return n >= m && strcmp(s + n - m, with) == 0;
}

static bool starts(const char *s, const char *with) { return strncmp(s, with, strlen(with)) == 0; }
static const char *base(const char *path) { return strrchr(path, '/') ? strrchr(path, '/') + 1 : path; }
static bool is_c(const source *s)
{
    static const char *const kind[] = {".c", ".h", ".cl", ".cu"};
    bool is = false;
    for (size_t k = 0; k < sizeof kind / sizeof kind[0]; k++) is |= ends(s->path, kind[k]);
    return is;
}

static char *read_text(const char *path)
{
    char whole[PATH + sizeof TEST_ROOT + 1];
    snprintf(whole, sizeof whole, "%s/%s", TEST_ROOT, path);
    FILE *f = fopen(whole, "rb");
    if (!f) return NULL;
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    const long n = ftell(f);
    rewind(f);
    char *text = must_alloc((size_t)n + 1, 1);
    ck_assert_uint_eq(fread(text, 1, (size_t)n, f), (size_t)n);
    fclose(f);
    return text;
}

// Sources below a folder of the root: C, headers, scripts. Data and pages are not ours to measure.
static void collect(tree *t, const char *folder)
{
    char whole[PATH + sizeof TEST_ROOT + 1];
    snprintf(whole, sizeof whole, "%s/%s", TEST_ROOT, folder);
    DIR *d = opendir(whole);
    if (!d) return;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        char path[PATH];
        if (e->d_name[0] == '.') continue;
        ck_assert_int_lt(snprintf(path, sizeof path, "%s/%s", folder, e->d_name), PATH);
        struct stat s;
        snprintf(whole, sizeof whole, "%s/%s", TEST_ROOT, path);
        if (stat(whole, &s)) continue;
        if (S_ISDIR(s.st_mode)) collect(t, path);
        static const char *const kind[] = {".c", ".h", ".cl", ".cu", ".sh", ".py", ".cmake"};
        for (size_t k = 0; S_ISREG(s.st_mode) && k < sizeof kind / sizeof kind[0]; k++) {
            if (!ends(path, kind[k])) continue;
            ck_assert_uint_lt(t->n, FILES);
            source *new = &t->at[t->n++];
            strcpy(new->path, path);
            new->text = read_text(path);
        }
    }
    closedir(d);
}

static tree grow(void)
{
    static const char *const folder[] = {"host", "device", "verify", "tests", "bench", "samples", "cmake"};
    tree t = {0, must_alloc(FILES, sizeof *t.at)};
    for (size_t i = 0; i < sizeof folder / sizeof folder[0]; i++) collect(&t, folder[i]);
    CK_TRUE(t.n > 20, "only %zu sources below %s", t.n, TEST_ROOT);
    return t;
}

static void fell(tree *t)
{
    for (size_t i = 0; i < t->n; i++) free(t->at[i].text);
    free(t->at);
}

// All complaints of a test, collected for one message at the end.
typedef struct complaints {
    size_t n;
    char words[4000];
} complaints;

static void complain(complaints *c, const char *path, size_t line, const char *why)
{
    char one[800];
    snprintf(one, sizeof one, "\n%s:%zu: %s", path, line, why);
    if (strlen(c->words) + strlen(one) < sizeof c->words) strcat(c->words, one);
    c->n++;
}

static void hear(const complaints *c) { CK_TRUE(c->n == 0, "%zu places:%s", c->n, c->words); }

// The next line of *at into line [room] without its end; false after the last.
static bool next_line(const char **at, char *line, size_t room)
{
    if (!**at) return false;
    const char *end = strchr(*at, '\n');
    const size_t n = end ? (size_t)(end - *at) : strlen(*at);
    snprintf(line, room, "%.*s", (int)n, *at);
    *at += n + (end ? 1 : 0);
    return true;
}

// ---- sizes --------------------------------------------------------------------------------------

START_TEST(no_file_has_more_than_500_lines)
{
    tree t = grow();
    complaints wrong = {0};
    for (size_t i = 0; i < t.n; i++) {
        size_t lines = 0;
        for (const char *c = t.at[i].text; *c; c++) lines += *c == '\n';
        if (lines > 500) complain(&wrong, t.at[i].path, lines, "too many lines");
    }
    fell(&t);
    hear(&wrong);
}
END_TEST

START_TEST(no_line_has_more_than_120_columns)
{
    tree t = grow();
    complaints wrong = {0};
    for (size_t i = 0; i < t.n; i++) {
        char line[512];
        const char *at = t.at[i].text;
        for (size_t number = 1; is_c(&t.at[i]) && next_line(&at, line, sizeof line); number++) {
            size_t columns = 0;
            for (const char *c = line; *c; c++) columns += (*c & 0xC0) != 0x80; // UTF-8 sequences count once
            if (columns > 120) complain(&wrong, t.at[i].path, number, "too long a line");
        }
    }
    fell(&t);
    hear(&wrong);
}
END_TEST

// A function starts with a brace in the first column and ends with one.
START_TEST(no_function_has_more_than_60_lines)
{
    tree t = grow();
    complaints wrong = {0};
    for (size_t i = 0; i < t.n; i++) {
        char line[512];
        const char *at = t.at[i].text;
        size_t open = 0;
        for (size_t number = 1; is_c(&t.at[i]) && next_line(&at, line, sizeof line); number++) {
            if (strcmp(line, "{") == 0) open = number;
            if (!starts(line, "}")) continue;
            if (open && number - open > 61) complain(&wrong, t.at[i].path, open, "too long a function");
            open = 0;
        }
    }
    fell(&t);
    hear(&wrong);
}
END_TEST

// ---- names and includes -------------------------------------------------------------------------

START_TEST(every_source_has_a_name_of_its_own)
{
    tree t = grow();
    complaints wrong = {0};
    for (size_t i = 0; i < t.n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(base(t.at[i].path), base(t.at[k].path)) == 0) complain(&wrong, t.at[i].path, 1, t.at[k].path);
    fell(&t);
    hear(&wrong);
}
END_TEST

static const source *named(const tree *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(base(t->at[i].path), base(name)) == 0) return &t->at[i];
    return NULL;
}

// True if a file may include one of ours. Tests and benches: anything. The others:
//   samples/      the public headers; joints.c bptt_cells.h
//   device/       its own, the public headers
//   host/         its own, the public headers, the seam, the loader of libraries
//   host/file/    its own, the public headers, error.h
//   host/cli/     its own, the public headers, error.h, the file formats, prng.h, fields.h, plan_text.h, and in the
//                 command `verify` verify.h; nothing that shows the inside of an object
//   verify/       its own, the public headers, the seam, the reference with its cells, the widths of cpu's
//                 loops, headers right in host/
static bool may_include(const char *who, const char *what)
{
    const bool header = starts(what, "host/include/"), seam = strcmp(what, "device/backend.h") == 0;
    if (starts(who, "samples/")) return header || (ends(who, "/joints.c") && ends(what, "/bptt_cells.h"));
    if (starts(who, "device/")) return header || starts(what, "device/");
    if (starts(who, "verify/"))
        return header || seam || starts(what, "verify/") || starts(what, "device/ref/") ||
               strcmp(what, "device/cells.h") == 0 || strcmp(what, "device/cpu/isa.h") == 0 ||
               (starts(what, "host/") && !strchr(what + strlen("host/"), '/'));
    if (!starts(who, "host/")) return true;
    if (header || strcmp(what, "device/error.h") == 0 || starts(what, "host/file/")) return true;
    if (starts(who, "host/file/")) return false;
    if (strcmp(what, "device/backend.h") == 0) return !starts(who, "host/cli/");
    if (strcmp(what, "device/library.h") == 0) return !starts(who, "host/cli/");
    if (strcmp(what, "verify/verify.h") == 0) return starts(who, "host/cli/cmd_verify.");
    if (starts(who, "host/cli/") && (ends(what, "/prng.h") || ends(what, "/fields.h") || ends(what, "/plan_text.h")))
        return true;
    return starts(what, "host/") && starts(who, "host/cli/") == starts(what, "host/cli/");
}

START_TEST(files_include_only_what_their_folder_may)
{
    tree t = grow();
    complaints wrong = {0};
    for (size_t i = 0; i < t.n; i++) {
        char line[512], name[256];
        const char *at = t.at[i].text;
        for (size_t number = 1; is_c(&t.at[i]) && next_line(&at, line, sizeof line); number++) {
            if (sscanf(line, " # include \"%255[^\"]\"", name) != 1 && sscanf(line, " # include <%255[^>]>", name) != 1)
                continue;
            const bool ours = strchr(line, '"') != NULL;
            const source *what = named(&t, name);
            if (!what && ours) complain(&wrong, t.at[i].path, number, "what is included is not here");
            if (!what || (!ours && !starts(name, "bptt"))) continue;
            if (!may_include(t.at[i].path, what->path)) complain(&wrong, t.at[i].path, number, what->path);
        }
    }
    fell(&t);
    hear(&wrong);
}
END_TEST

// ---- #if ----------------------------------------------------------------------------------------

// #if inside the braces of a function; those of types and of extern "C" do not count.
START_TEST(no_function_holds_an_if_of_the_preprocessor)
{
    tree t = grow();
    complaints wrong = {0};
    for (size_t i = 0; i < t.n; i++) {
        char line[512];
        const char *at = t.at[i].text;
        bool inside = false;
        for (size_t number = 1; is_c(&t.at[i]) && next_line(&at, line, sizeof line); number++) {
            char word[16] = "";
            if (strcmp(line, "{") == 0) inside = true;
            if (starts(line, "}")) inside = false;
            if (sscanf(line, " # %15[a-z]", word) == 1 && starts(word, "if") && inside)
                complain(&wrong, t.at[i].path, number, line);
        }
    }
    fell(&t);
    hear(&wrong);
}
END_TEST

// ---- the README ---------------------------------------------------------------------------------

// True if the page contains the program, each line after `indent` blanks (0: in a fence; 4: an indented block).
static bool shows(const char *page, const char *program, size_t indent)
{
    char *block = must_alloc((indent + 1) * strlen(program) + indent + 1, 1), *to = block;
    bool start = true;
    for (const char *c = program; *c; c++) {
        for (size_t k = 0; start && *c != '\n' && k < indent; k++) *to++ = ' ';
        *to++ = *c;
        start = *c == '\n';
    }
    const bool found = strstr(page, block) != NULL;
    free(block);
    return found;
}

START_TEST(the_program_in_the_readme_is_the_sample_that_is_compiled)
{
    char *page = read_text("README.md"), *sample = read_text("samples/hello.c");
    ck_assert_ptr_nonnull(page);
    ck_assert_ptr_nonnull(sample);
    ck_assert_uint_gt(strlen(sample), 200);
    ck_assert(shows(page, sample, 0) || shows(page, sample, 4));
    free(page), free(sample);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, no_file_has_more_than_500_lines);
    tcase_add_test(c, no_line_has_more_than_120_columns);
    tcase_add_test(c, no_function_has_more_than_60_lines);
    tcase_add_test(c, every_source_has_a_name_of_its_own);
    tcase_add_test(c, files_include_only_what_their_folder_may);
    tcase_add_test(c, no_function_holds_an_if_of_the_preprocessor);
    tcase_add_test(c, the_program_in_the_readme_is_the_sample_that_is_compiled);
}

int main(void) { return run_suite("tree", add, 30); }
