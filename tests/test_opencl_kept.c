// Kernel cache of the OpenCL backend: compiled programs in files that the next open reads. A damaged file is ignored,
// as if it did not exist.
#include "fake_cl.h"
#include "opencl_rig.h"

#include <dirent.h>
#include <sys/stat.h>

typedef struct kept {
    cl_api api;
    cl_setup setup;
    char folder[64], file[400];
    char *text;
} kept;

// Opens once more; returns whether the compiler was needed.
static bool compiled(kept *k)
{
    fake_now.compiled = 0;
    bptt_device *d = open_device(&k->setup, &(bptt_compute){0});
    ck_assert_str_eq(d->bits, "same bits");
    close_device(d);
    return fake_now.compiled > 0;
}

// The number of files in the folder; k->file is one of them, or "".
static size_t count_files(kept *k)
{
    size_t n = 0;
    DIR *d = opendir(k->folder);
    ck_assert_ptr_nonnull(d);
    k->file[0] = '\0';
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (e->d_name[0] != '.') snprintf(k->file, sizeof k->file, "%s/%.255s", k->folder, e->d_name), n++;
    closedir(d);
    return n;
}

static void find_file(kept *k)
{
    const size_t n = count_files(k);
    CK_TRUE(n <= 1, "%zu files, the last is %s", n, k->file);
}

static void kept_open(kept *k)
{
    *k = (kept){.api = fake_api(), .folder = "/tmp/bptt-kept-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(k->folder));
    k->text = small_text(&k->setup.text_size);
    k->setup.api = &k->api, k->setup.text = k->text, k->setup.cache = k->folder;
}

static void kept_close(kept *k)
{
    while (count_files(k) > 0) ck_assert_int_eq(remove(k->file), 0);
    ck_assert_int_eq(remove(k->folder), 0);
    free(k->text);
}

static unsigned char *contents(const char *path, size_t *n)
{
    struct stat s;
    ck_assert_int_eq(stat(path, &s), 0);
    unsigned char *x = must_alloc((size_t)s.st_size, 1);
    FILE *f = fopen(path, "rb");
    ck_assert_uint_eq(fread(x, 1, (size_t)s.st_size, f), (size_t)s.st_size);
    fclose(f);
    *n = (size_t)s.st_size;
    return x;
}

static void replace(const char *path, const unsigned char *x, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(x, 1, n, f), n);
    fclose(f);
}

START_TEST(a_program_is_compiled_once_and_then_read_from_its_file)
{
    kept k;
    kept_open(&k);
    ck_assert(compiled(&k));
    find_file(&k);
    CK_TRUE(k.file[0] != '\0', "nothing was kept in %s", k.folder);
    struct stat s;
    ck_assert_int_eq(stat(k.file, &s), 0);
    ck_assert_int_eq(s.st_mode & 0777, 0600);
    ck_assert(!compiled(&k));
    ck_assert(!compiled(&k));
    kept_close(&k);
}
END_TEST

// The file damaged in one way is as good as none, and is written anew.
START_TEST(a_damaged_file_is_compiled_again_and_replaced)
{
    kept k;
    kept_open(&k);
    ck_assert(compiled(&k));
    find_file(&k);
    size_t n;
    unsigned char *good = contents(k.file, &n), *bad = must_alloc(n + 1, 1);
    // the magic, the lengths, the checksum, the key, the binary's start, middle and end
    const size_t flipped[] = {0, 8, 16, 24, 33, 32 + k.setup.text_size, n - 1000, n - 1};
    const size_t shorter[] = {0, 1, 31, 32, 1000, n - 1, n + 1};
    for (size_t i = 0; i < sizeof flipped / sizeof flipped[0] + sizeof shorter / sizeof shorter[0]; i++) {
        const bool flip = i < sizeof flipped / sizeof flipped[0];
        const size_t length = flip ? n : shorter[i - sizeof flipped / sizeof flipped[0]];
        memcpy(bad, good, n);
        if (flip) bad[flipped[i]] ^= 0x10;
        replace(k.file, bad, length);
        CK_TRUE(compiled(&k), "case %zu: a damaged file was taken", i);
        CK_TRUE(!compiled(&k), "case %zu: the damaged file was not replaced", i);
    }
    free(bad);
    free(good);
    kept_close(&k);
}
END_TEST

START_TEST(a_file_of_another_program_is_not_taken)
{
    kept k;
    kept_open(&k);
    ck_assert(compiled(&k));
    find_file(&k);
    char first[sizeof k.file];
    strcpy(first, k.file);
    size_t n;
    unsigned char *other = contents(first, &n);
    remove(first);
    k.text[k.setup.text_size - 1] = ' '; // was the last newline
    ck_assert(compiled(&k));
    find_file(&k);
    CK_TRUE(strcmp(first, k.file) != 0, "two programs have one file");
    replace(k.file, other, n);
    ck_assert(compiled(&k));
    ck_assert(!compiled(&k));
    free(other);
    kept_close(&k);
}
END_TEST

START_TEST(the_program_of_each_gated_cell_has_a_file_of_its_own)
{
    kept k;
    kept_open(&k);
    for (int i = 0; i < 2; i++) {
        fake_now.compiled = 0;
        bptt_device *d = open_device(&k.setup, &(bptt_compute){0});
        CK_DONE(cl_build_gates(cl_of(d), BPTT_GRU, error));
        CK_DONE(cl_build_gates(cl_of(d), BPTT_LSTM, error));
        CK_TRUE(fake_now.compiled == (i ? 0 : 3), "time %d: %d programs were compiled", i, fake_now.compiled);
        const launch l = {.kernel = TUNED_GATES_BACKWARD, .constants.layer.cell = BPTT_GRU};
        size_t most = 0;
        CK_TRUE(cl_kernel_of(cl_of(d), &l, &most) && most > 0, "time %d: no kernel", i);
        close_device(d);
    }
    ck_assert_uint_eq(count_files(&k), 3);
    kept_close(&k);
}
END_TEST

START_TEST(only_a_file_that_nobody_else_may_write_is_taken)
{
    kept k;
    kept_open(&k);
    ck_assert(compiled(&k));
    find_file(&k);
    ck_assert_int_eq(chmod(k.file, 0620), 0);
    ck_assert(compiled(&k)); // and replaced by one of 0600
    ck_assert(!compiled(&k));
    ck_assert_int_eq(remove(k.file), 0);
    ck_assert_int_eq(mkfifo(k.file, 0600), 0); // opening it would wait for a writer
    ck_assert(compiled(&k));
    ck_assert(!compiled(&k));
    kept_close(&k);
}
END_TEST

START_TEST(a_binary_that_the_driver_refuses_is_compiled_again)
{
    static const char *const call[] = {"CreateProgramWithBinary", "BuildProgram", "CreateKernel"};
    kept k;
    kept_open(&k);
    ck_assert(compiled(&k));
    for (size_t i = 0; i < sizeof call / sizeof call[0]; i++) {
        fake_now = (fake){.call = call[i], .times = 1, .code = CL_INVALID_BINARY};
        CK_TRUE(compiled(&k), "%s failed and nothing was compiled", call[i]);
        fake_now = (fake){0};
        ck_assert(!compiled(&k));
    }
    kept_close(&k);
}
END_TEST

START_TEST(without_a_folder_that_can_be_written_nothing_is_kept)
{
    kept k;
    kept_open(&k);
    const char *const folder[] = {"", "/nonexistent/folder", "/proc"};
    for (size_t i = 0; i < 3; i++) {
        k.setup.cache = folder[i];
        ck_assert(compiled(&k));
        ck_assert(compiled(&k));
    }
    // the user's own folder: made, and for nobody else
    char home[80];
    snprintf(home, sizeof home, "%s/home", k.folder);
    ck_assert_int_eq(mkdir(home, 0700), 0);
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", home, 1);
    k.setup.cache = NULL;
    fake_now.platform = "Another platform";
    ck_assert(compiled(&k));
    ck_assert(!compiled(&k));
    fake_now.platform = "Portable Computing Language"; // keeps its kernels by itself
    ck_assert(compiled(&k));
    ck_assert(compiled(&k));
    fake_now.platform = "Another platform";
    ck_assert(!compiled(&k));
    unsetenv("HOME");
    ck_assert(compiled(&k));
    strcat(k.folder, "/home/.cache/bptt");
    struct stat s;
    ck_assert_int_eq(stat(k.folder, &s), 0);
    ck_assert_int_eq(s.st_mode & 0777, 0700);
    find_file(&k);
    ck_assert_int_eq(remove(k.file), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(remove(k.folder), 0);
        *strrchr(k.folder, '/') = '\0';
    }
    kept_close(&k);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_program_is_compiled_once_and_then_read_from_its_file);
    tcase_add_test(c, a_damaged_file_is_compiled_again_and_replaced);
    tcase_add_test(c, a_file_of_another_program_is_not_taken);
    tcase_add_test(c, the_program_of_each_gated_cell_has_a_file_of_its_own);
    tcase_add_test(c, only_a_file_that_nobody_else_may_write_is_taken);
    tcase_add_test(c, a_binary_that_the_driver_refuses_is_compiled_again);
    tcase_add_test(c, without_a_folder_that_can_be_written_nothing_is_kept);
}

int main(void) { return run_opencl_suite("opencl kept", add, 240); }
