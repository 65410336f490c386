// Libraries loaded at run time: the one of a list that is opened, the message if there is none, missing symbols.
#include "library.h"
#include "near.h"
#include "suite.h"

#include <dlfcn.h>
#include <string.h>

// The loader frees its message when the next one is made, and the next one takes its memory.
static void fail_to_load_often(void)
{
    for (int i = 0; i < 20; i++) {
        char name[300] = "libbptt-";
        memset(name + strlen(name), 'x', (size_t)(10 * i + 1));
        ck_assert_ptr_null(dlopen(name, RTLD_NOW));
        if (i % 2) (void)dlerror();
    }
}

START_TEST(of_no_library_the_loaders_words_about_the_first_name_are_kept)
{
    static const char *const file[] = {"libbptt-absent-1.so", "libbptt-absent-2.so", "libbptt-absent-3.so", NULL};
    library l;
    char words[sizeof l.words];
    memset(&l, 0xFF, sizeof l);
    ck_assert(!library_open(&l, file));
    ck_assert_ptr_null(l.handle);
    ck_assert_ptr_null(l.file);
    memcpy(words, l.words, sizeof words);
    fail_to_load_often();
    ck_assert_int_eq(memcmp(words, l.words, sizeof words), 0);
    ck_assert_ptr_eq(strstr(l.words, "libbptt-absent-1.so"), l.words);
    ck_assert_ptr_null(strstr(l.words, "libbptt-absent-2.so"));
    ck_assert_uint_gt(strlen(l.words), strlen("libbptt-absent-1.so: ")); // and the reason
    for (const char *c = l.words; *c; c++) CK_TRUE(*c >= ' ' && *c <= '~', "byte %d of the words", *c);
    library_close(&l);
}
END_TEST

START_TEST(the_first_library_that_is_there_is_opened)
{
    static const char *const file[] = {"libbptt-absent-1.so", TEST_LIBRARY, TEST_ROOT "/README.md", NULL};
    library l;
    ck_assert(library_open(&l, file));
    ck_assert_ptr_nonnull(l.handle);
    ck_assert_ptr_eq(l.file, file[1]);
    ck_assert_str_eq(l.words, "");
    library_close(&l);
    ck_assert_ptr_null(l.handle);
    library_close(&l);
}
END_TEST

START_TEST(functions_are_found_or_the_first_missing_one_is_named)
{
    static const char *const file[] = {TEST_LIBRARY, NULL};
    static const char *const symbol[] = {BPTT_MODULE_SYMBOL, "bptt_no_such_symbol", "bptt_nor_this"};
    library l;
    int here = 0;
    void *table[3] = {&here, &here, &here};
    ck_assert(library_open(&l, file));
    ck_assert_ptr_eq(library_find(&l, symbol, 3, table), symbol[1]);
    for (int i = 0; i < 3; i++) ck_assert_ptr_eq(table[i], &here);
    ck_assert_ptr_null(library_find(&l, symbol, 1, table));
    ck_assert_ptr_eq(table[0], dlsym(l.handle, BPTT_MODULE_SYMBOL));
    ck_assert_ptr_eq(table[1], &here);
    library_close(&l);
}
END_TEST

// tests/consumers.sh has a program that is.
START_TEST(this_program_is_not_linked_statically) { ck_assert(!library_program_is_static()); }
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, of_no_library_the_loaders_words_about_the_first_name_are_kept);
    tcase_add_test(c, the_first_library_that_is_there_is_opened);
    tcase_add_test(c, functions_are_found_or_the_first_missing_one_is_named);
    tcase_add_test(c, this_program_is_not_linked_statically);
}

int main(void) { return run_suite("library", add, 30); }
