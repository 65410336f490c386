// A file that appears whole or not at all: every system call of the writer fails, is interrupted, is cut short or is
// its last, one after the other, and each time the old file or the whole new one is there. (Linked as faults.h says.)
#define _POSIX_C_SOURCE 200809L

#include "atomic.h"
#include "faults.h"
#include "safetensors.h"
#include "suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// ---- a folder of its own for each test ------------------------------------------------------------------------------

static char folder[64], path[96], link_path[96];

static void make_folder(void)
{
    strcpy(folder, "/tmp/bptt_atomic_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model", folder);
    snprintf(link_path, sizeof link_path, "%s/link", folder);
}

static void remove_folder(void)
{
    char name[320];
    DIR *d = opendir(folder);
    for (struct dirent *f; (f = readdir(d));) {
        snprintf(name, sizeof name, "%s/%s", folder, f->d_name);
        if (f->d_name[0] != '.' || strstr(f->d_name, ".tmp.")) unlink(name);
    }
    closedir(d);
    rmdir(folder);
}

static int files(void) // in the folder, whatever their names
{
    int n = 0;
    DIR *d = opendir(folder);
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

static int open_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) != -1;
    return n;
}

static void put(const char *where, const char *text)
{
    FILE *f = fopen(where, "wb");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static bool holds(const char *where, const char *text)
{
    char there[256];
    FILE *f = fopen(where, "rb");
    if (!f) return false;
    const size_t n = fread(there, 1, sizeof there, f);
    fclose(f);
    return n == strlen(text) && memcmp(there, text, n) == 0;
}

// ---- cases: a plain file, and a whole safetensors file --------------------------------------------------------------

static bptt_status write_plain(const char *where, bptt_error *e)
{
    atomic_file *f = NULL;
    int fd;
    bptt_status s = atomic_open(where, &f, &fd, e);
    if (s != BPTT_OK) return s;
    s = write_all(fd, "the new ", 8, where, e);
    if (s == BPTT_OK) s = write_all(fd, "contents", 8, where, e);
    if (s == BPTT_OK) return atomic_commit(f, e);
    atomic_abort(f);
    return s;
}

static bool plain_is_new(const char *where) { return holds(where, "the new contents"); }

static bptt_status write_tensors(const char *where, bptt_error *e)
{
    const st_tensor t[2] = {{.name = "a", .dtype = ST_F32, .rank = 1, .shape = {3}},
                            {.name = "b", .dtype = ST_U8, .rank = 1, .shape = {5}}};
    const st_pair format = {"format", "pt"};
    st_writer *w = NULL;
    bptt_status s = st_write_open(where, t, 2, &format, 1, &w, e);
    if (s != BPTT_OK) return s;
    s = st_write(w, "twelve bytes", 12, e);
    if (s == BPTT_OK) s = st_write(w, "five!", 5, e);
    if (s == BPTT_OK) return st_write_commit(w, e);
    st_write_abort(w);
    return s;
}

static bool tensors_are_new(const char *where)
{
    st_reader *r = NULL;
    char a[12], b[5];
    const bool good = st_read_open(where, 0, &r, NULL) == BPTT_OK && st_count(r) == 2 &&
                      st_read(r, st_at(r, 0), a, NULL) == BPTT_OK && st_read(r, st_at(r, 1), b, NULL) == BPTT_OK &&
                      memcmp(a, "twelve bytes", 12) == 0 && memcmp(b, "five!", 5) == 0 && st_metadata(r, "crc32c") &&
                      st_metadata(r, "crc32c.a") && st_metadata(r, "crc32c.b");
    st_read_close(r);
    return good;
}

static const struct subject {
    bptt_status (*write)(const char *where, bptt_error *e);
    bool (*is_new)(const char *where);
} subjects[2] = {{write_plain, plain_is_new}, {write_tensors, tensors_are_new}};

#define OLD "the old contents, longer than the new ones"

// The three beginnings: nothing there, a file, a link to a file.
enum { NOTHING, A_FILE, A_LINK, BEGINNINGS };

static const char *begin(int beginning)
{
    unlink(path);
    unlink(link_path);
    if (beginning != NOTHING) put(path, OLD);
    if (beginning == A_LINK) ck_assert_int_eq(symlink("model", link_path), 0);
    return beginning == A_LINK ? link_path : path;
}

static bool old_is_there(int beginning) { return beginning == NOTHING ? access(path, F_OK) != 0 : holds(path, OLD); }

static int expected_files(int beginning, bool is_new)
{
    return (beginning == A_LINK) + (beginning != NOTHING || is_new);
}

// Runs it once with a fault; returns how many calls it came to. The fault struck if that is more than `at`.
static int try_one(const struct subject *x, int beginning, fault f, int error, int at)
{
    const char *where = begin(beginning);
    const int descriptors = open_descriptors();
    bptt_error e = {.code = BPTT_OK, .words = ""};
    arm(f, error, at);
    const bptt_status s = x->write(where, &e);
    plan.on = false;
    const bool is_new = x->is_new(path), struck = at >= 0 && at < plan.calls;
    const char *rename = strchr(plan.trace, 'r');
    const bool late = struck && rename && rename - plan.trace < at; // the new file was in place already
    if (s == BPTT_OK) {
        ck_assert_msg(is_new, "call %d of %s: success, but the new file is not there", at, plan.trace);
        const bool last_close = late && plan.trace[at] == 'c'; // of the folder: it decides nothing
        const bool fails = struck && (f == FAIL || f == FAIL_ON);
        ck_assert_msg(!fails || last_close, "call %d of %s was not noticed", at, plan.trace);
    } else {
        const bool memory = struck && strchr("mCSO", plan.trace[at]);
        ck_assert_msg(s == (memory ? BPTT_NO_MEMORY : BPTT_IO), "call %d of %s: status %d", at, plan.trace, (int)s);
        ck_assert_int_eq(e.code, s);
        ck_assert_ptr_nonnull(strstr(e.words, where));
        ck_assert_msg(memory || strstr(e.words, strerror(error)), "%s", e.words);
        // Only after the rename, in the last fsync, may a failure leave the new file; and then it says so.
        ck_assert_msg(late ? is_new : old_is_there(beginning), "call %d of %s: a third thing", at, plan.trace);
        ck_assert(!late || strstr(e.words, "in place"));
    }
    ck_assert_msg(files() == expected_files(beginning, is_new), "call %d of %s: a file was left", at, plan.trace);
    ck_assert_msg(open_descriptors() == descriptors, "call %d of %s: a descriptor was left", at, plan.trace);
    if (beginning == A_LINK) {
        struct stat l;
        ck_assert(lstat(link_path, &l) == 0 && S_ISLNK(l.st_mode));
    }
    if (f == ONCE || f == SHORT || f == NONE) ck_assert_msg(s == BPTT_OK, "call %d of %s: %s", at, plan.trace, e.words);
    return plan.calls;
}

static void try_all(fault f, int error)
{
    for (int i = 0; i < 2; i++)
        for (int beginning = 0; beginning < BEGINNINGS; beginning++)
            for (int at = 0; try_one(&subjects[i], beginning, f, error, at) > at;) at++; // until it came to none
}

// ---- proofs ---------------------------------------------------------------------------------------------------------

// The letters of the calls to the file; without this, the tests below would prove nothing were the wrapping lost.
START_TEST(the_data_are_synced_before_the_rename_and_the_folder_after_it)
{
    char calls[256] = "";
    ck_assert_int_gt(try_one(&subjects[1], A_LINK, NONE, 0, -1), 20);
    for (size_t i = 0, n = 0; plan.trace[i] != '\0'; i++)
        if (strchr("dtahowkfcr", plan.trace[i])) calls[n++] = plan.trace[i];
    ck_assert_str_eq(calls, "dtaoh"
                            "www"
                            "kw"
                            "fcrfc"); // open; header and data; header again; commit
    for (const char *letter = "dtahowkfcrlmCSO"; *letter != '\0'; letter++)
        ck_assert_msg(strchr(plan.trace, *letter), "no call of kind %c in %s", *letter, plan.trace);
}
END_TEST

START_TEST(a_file_system_that_cannot_sync_folders_will_do)
{
    const int calls = try_one(&subjects[0], A_FILE, NONE, 0, -1);
    const int last_sync = (int)(strrchr(plan.trace, 'f') - plan.trace);
    begin(A_FILE);
    arm(FAIL, EINVAL, last_sync);
    const bptt_status s = write_plain(path, NULL);
    plan.on = false;
    ck_assert_int_eq(s, BPTT_OK);
    ck_assert_int_eq(plan.calls, calls);
    ck_assert(plain_is_new(path));
}
END_TEST

START_TEST(any_call_that_fails_leaves_the_old_file_and_nothing_else)
{
    try_all(FAIL, ENOSPC);
    try_all(FAIL, EIO);
}
END_TEST

START_TEST(a_disk_that_fails_from_some_call_on_leaves_the_old_file_and_nothing_else) { try_all(FAIL_ON, EIO); }
END_TEST

START_TEST(interrupted_calls_and_short_writes_are_carried_on)
{
    try_all(ONCE, 0);
    try_all(SHORT, 0);
}
END_TEST

START_TEST(a_process_killed_at_any_call_leaves_the_old_file_or_the_whole_new_one)
{
    static const fault ways[2] = {DIE, DIE_HALF};
    int killed = 0;
    for (int k = 0; k < 2 * 2 * BEGINNINGS; k++) {
        const struct subject *x = &subjects[k % 2];
        const int beginning = k / 2 % BEGINNINGS;
        bool survived = false, seen_new = false;
        for (int at = 0; !survived; at++) {
            const char *where = begin(beginning);
            int status;
            const pid_t child = fork();
            ck_assert_int_ge(child, 0);
            if (child == 0) {
                arm(ways[k / 6], 0, at);
                _exit(x->write(where, NULL) == BPTT_OK ? 0 : 1);
            }
            ck_assert_int_eq(waitpid(child, &status, 0), child);
            survived = WIFEXITED(status);
            ck_assert(survived ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
            const bool is_new = x->is_new(path);
            ck_assert_msg(is_new || old_is_there(beginning), "call %d: a third thing", at);
            ck_assert_msg(is_new || !seen_new, "call %d: the old file came back", at);
            ck_assert(is_new || !survived);
            seen_new = is_new;
            killed += !survived;
            ck_assert_int_eq(x->write(where, NULL), BPTT_OK); // leftovers of the killed process do not block
            ck_assert(x->is_new(path));
        }
    }
    ck_assert_int_gt(killed, 100);
}
END_TEST

START_TEST(a_temporary_file_of_the_same_name_is_in_nobodys_way)
{
    char name[128];
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s/.model.tmp.%ld.%d", folder, (long)getpid(), i);
        put(name, "another's");
    }
    ck_assert_int_eq(write_plain(path, NULL), BPTT_OK);
    ck_assert(plain_is_new(path));
    ck_assert(holds(name, "another's"));
    ck_assert_int_eq(files(), 4);
}
END_TEST

START_TEST(two_writers_of_one_path_do_not_mix)
{
    atomic_file *a, *b;
    int fa, fb;
    ck_assert_int_eq(atomic_open(path, &a, &fa, NULL), BPTT_OK);
    ck_assert_int_eq(atomic_open(path, &b, &fb, NULL), BPTT_OK);
    ck_assert_int_eq(write_all(fa, "first", 5, path, NULL), BPTT_OK);
    ck_assert_int_eq(write_all(fb, "second!", 7, path, NULL), BPTT_OK);
    ck_assert_int_eq(atomic_commit(b, NULL), BPTT_OK);
    ck_assert(holds(path, "second!"));
    ck_assert_int_eq(atomic_commit(a, NULL), BPTT_OK);
    ck_assert(holds(path, "first"));
    ck_assert_int_eq(files(), 1);
}
END_TEST

static mode_t mode_of(const char *where)
{
    struct stat s;
    ck_assert_int_eq(stat(where, &s), 0);
    return s.st_mode & 07777;
}

START_TEST(a_new_file_has_the_mode_of_the_umask_and_an_old_one_keeps_its_own)
{
    umask(027);
    ck_assert_int_eq(write_plain(path, NULL), BPTT_OK);
    ck_assert_uint_eq(mode_of(path), 0640);
    ck_assert_int_eq(chmod(path, 0604), 0);
    ck_assert_int_eq(write_plain(path, NULL), BPTT_OK);
    ck_assert_uint_eq(mode_of(path), 0604);
    ck_assert_int_eq(chmod(path, 0666), 0);
    ck_assert_int_eq(write_plain(path, NULL), BPTT_OK);
    ck_assert_uint_eq(mode_of(path), 0666);
}
END_TEST

START_TEST(links_are_followed_even_to_what_is_not_there_yet_and_circles_are_refused)
{
    char below[96], second[96], absolute[128];
    snprintf(below, sizeof below, "%s/below", folder);
    snprintf(second, sizeof second, "%s/below/second", folder);
    snprintf(absolute, sizeof absolute, "%s/below/../link", folder);
    ck_assert_int_eq(mkdir(below, 0777), 0);
    ck_assert_int_eq(symlink("model", link_path), 0);
    ck_assert_int_eq(symlink(absolute, second), 0);
    ck_assert_int_eq(write_plain(second, NULL), BPTT_OK);
    ck_assert(plain_is_new(path));
    ck_assert_int_eq(files(), 3);
    ck_assert_int_eq(symlink("link", path), -1); // it is a file, not a link
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("link", path), 0);
    ck_assert_int_eq(write_plain(path, NULL), BPTT_IO);
    unlink(second);
    rmdir(below);
}
END_TEST

START_TEST(what_is_not_a_regular_file_is_not_replaced)
{
    struct stat s;
    bptt_error e = {.words = ""};
    char slash[128];
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(write_plain(path, &e), BPTT_IO);
    ck_assert(stat(path, &s) == 0 && S_ISFIFO(s.st_mode));
    ck_assert_int_eq(write_plain(folder, &e), BPTT_IO);
    ck_assert_ptr_nonnull(strstr(e.words, folder));
    snprintf(slash, sizeof slash, "%s/", folder);
    ck_assert_int_eq(write_plain(slash, &e), BPTT_IO);
    ck_assert_ptr_nonnull(strstr(e.words, "names a folder"));
    snprintf(slash, sizeof slash, "%s/none/model", folder);
    ck_assert_int_eq(write_plain(slash, &e), BPTT_IO);
    ck_assert_int_eq(write_plain("", &e), BPTT_IO);
    ck_assert_int_eq(files(), 1);
    ck_assert_int_eq(symlink("/dev/null", link_path), 0);
    ck_assert_int_eq(write_plain(link_path, &e), BPTT_IO);
    ck_assert(stat("/dev/null", &s) == 0 && S_ISCHR(s.st_mode));
}
END_TEST

START_TEST(a_file_protected_from_writing_is_not_replaced)
{
    put(path, OLD);
    ck_assert_int_eq(chmod(path, 0444), 0);
    ck_assert_int_eq(chmod(folder, 0777), 0);
    const pid_t child = fork(); // as nobody, where we are root, to whom nothing is protected
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0) _exit(2);
        _exit(write_plain(path, NULL) == BPTT_IO ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert(holds(path, OLD));
    ck_assert_int_eq(files(), 1);
}
END_TEST

START_TEST(the_caller_may_change_its_folder_between_open_and_commit)
{
    atomic_file *f;
    int fd;
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(atomic_open("model", &f, &fd, NULL), BPTT_OK);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(write_all(fd, "x", 1, "model", NULL), BPTT_OK);
    ck_assert_int_eq(atomic_commit(f, NULL), BPTT_OK);
    ck_assert(holds(path, "x"));
    ck_assert_int_eq(files(), 1);
}
END_TEST

START_TEST(the_longest_name_that_the_file_system_takes_can_be_written)
{
    char name[400];
    const int n = snprintf(name, sizeof name, "%s/", folder);
    memset(name + n, 'n', 255);
    name[n + 255] = '\0';
    ck_assert_int_eq(write_plain(name, NULL), BPTT_OK);
    ck_assert(plain_is_new(name));
    ck_assert_int_eq(files(), 1);
    name[n + 255] = 'n';
    name[n + 256] = '\0';
    ck_assert_int_eq(write_plain(name, NULL), BPTT_IO);
}
END_TEST

START_TEST(an_aborted_file_leaves_the_old_one)
{
    atomic_file *f;
    int fd;
    put(path, OLD);
    ck_assert_int_eq(atomic_open(path, &f, &fd, NULL), BPTT_OK);
    ck_assert_int_eq(write_all(fd, "x", 1, path, NULL), BPTT_OK);
    atomic_abort(f);
    atomic_abort(NULL);
    ck_assert(holds(path, OLD));
    ck_assert_int_eq(files(), 1);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_checked_fixture(c, make_folder, remove_folder);
    tcase_add_test(c, the_data_are_synced_before_the_rename_and_the_folder_after_it);
    tcase_add_test(c, a_file_system_that_cannot_sync_folders_will_do);
    tcase_add_test(c, any_call_that_fails_leaves_the_old_file_and_nothing_else);
    tcase_add_test(c, a_disk_that_fails_from_some_call_on_leaves_the_old_file_and_nothing_else);
    tcase_add_test(c, interrupted_calls_and_short_writes_are_carried_on);
    tcase_add_test(c, a_process_killed_at_any_call_leaves_the_old_file_or_the_whole_new_one);
    tcase_add_test(c, a_temporary_file_of_the_same_name_is_in_nobodys_way);
    tcase_add_test(c, two_writers_of_one_path_do_not_mix);
    tcase_add_test(c, a_new_file_has_the_mode_of_the_umask_and_an_old_one_keeps_its_own);
    tcase_add_test(c, links_are_followed_even_to_what_is_not_there_yet_and_circles_are_refused);
    tcase_add_test(c, what_is_not_a_regular_file_is_not_replaced);
    tcase_add_test(c, a_file_protected_from_writing_is_not_replaced);
    tcase_add_test(c, the_caller_may_change_its_folder_between_open_and_commit);
    tcase_add_test(c, the_longest_name_that_the_file_system_takes_can_be_written);
    tcase_add_test(c, an_aborted_file_leaves_the_old_one);
}

int main(void) { return run_suite("atomic", add, 60); }
