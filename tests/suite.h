// The main of a test program: one suite, one case, a time limit. The name of each test states the property it proves.
#ifndef SUITE_H
#define SUITE_H

#include "place.h"

#include <check.h>
#include <stdlib.h>

enum { PATIENCE = 4 }; // allowed slowdown of a busy or small machine against an idle core

// add() calls tcase_add_test for each test; seconds: limit for each of them on an idle core.
static inline int run_suite(const char *name, void (*add)(TCase *), double seconds)
{
    const int missing = place_missing();
    if (missing) return missing;
    Suite *s = suite_create(name);
    TCase *c = tcase_create(name);
    tcase_set_timeout(c, PATIENCE * seconds);
    add(c);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r), ran = srunner_ntests_run(r);
    srunner_free(r);
    return failed == 0 && ran > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
