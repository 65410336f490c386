// The stand-ins for CUDA: calls that they refuse as CUDA does, and fault injection.
#include "standin_rig.h"

// ---- captures -------------------------------------------------------------------------------------------------------

static void not_joined(void)
{
    standin_rig r = rig_open();
    cu_memory m = rig_memory(&r, 10);
    cu_graph g;
    rig_capture(&r);
    rig_fork(&r);
    GOOD(rig_fill(&r, r.side, m, rig_view(0, 1, 5, 5), 4));
    GIVES(904, r.cu.StreamEndCapture(r.main, &g));
    MUST(!g);
    rig_capture(&r); // it is over, and both streams are free again
    rig_fork(&r);
    GOOD(rig_fill(&r, r.side, m, rig_view(0, 1, 5, 5), 4));
    rig_join(&r);
    GOOD(rig_fill(&r, r.side, m, rig_view(0, 1, 5, 5), 4));
    GIVES(904, r.cu.StreamEndCapture(r.main, &g));
    GIVES(401, r.cu.StreamEndCapture(r.main, &g));
}

static void forbidden(void)
{
    standin_rig r = rig_open();
    cu_memory m;
    cu_graph g;
    GOOD(r.cu.EventRecord(r.fork, r.side));
    rig_capture(&r);
    GIVES(401, r.cu.StreamBeginCapture(r.main, CU_CAPTURE_THREAD_LOCAL));
    GIVES(900, r.cu.MemAlloc(&m, 4));
    GIVES(901, r.cu.StreamEndCapture(r.main, &g));
    rig_capture(&r);
    GIVES(900, r.cu.StreamSynchronize(r.main));
    GIVES(901, r.cu.StreamEndCapture(r.main, &g));
    rig_capture(&r);
    GIVES(905, r.cu.StreamWaitEvent(r.main, r.fork, 0));
    GIVES(901, r.cu.StreamEndCapture(r.main, &g));
    rig_capture(&r);
    rig_fork(&r);
    GIVES(903, r.cu.StreamEndCapture(r.side, &g));
    rig_join(&r);
    GIVES(907, r.cu.EventSynchronize(r.join));
    GOOD(r.cu.StreamEndCapture(r.main, &g));
    GIVES(907, r.cu.StreamWaitEvent(r.side, r.fork, 0));
    GOOD(r.cu.GraphDestroy(g));
}

START_TEST(captures_forbid_what_cuda_forbids)
{
    expect_fine("", not_joined);
    expect_fine("", forbidden);
}
END_TEST

// ---- settings -------------------------------------------------------------------------------------------------------

static void third_launch_fails(void)
{
    standin_rig r = rig_open();
    cu_memory m = rig_memory(&r, 5);
    rig_capture(&r);
    GOOD(rig_fill(&r, r.main, m, rig_view(0, 1, 5, 5), 4));
    cu_exec g = rig_graph(&r);
    GOOD(r.cu.GraphLaunch(g, r.main));
    GOOD(r.cu.GraphLaunch(g, r.main));
    GIVES(700, r.cu.GraphLaunch(g, r.main));
    GIVES(700, r.cu.StreamSynchronize(r.main)); // the context is lost
    GIVES(700, r.cu.GraphExecDestroy(g));       // gives it back all the same
    GIVES(700, r.cu.MemFree(m));
    GIVES(700, r.cu.EventDestroy(r.fork));
    GIVES(700, r.cu.EventDestroy(r.join));
    GIVES(700, r.cu.StreamDestroy(r.main));
    GIVES(700, r.cu.StreamDestroy(r.side));
    GIVES(700, r.cu.ModuleUnload(r.module));
    GOOD(r.cu.CtxPopCurrent(NULL));
    GOOD(r.cu.DevicePrimaryCtxRelease(0));
}

static void no_device(void)
{
    standin_rig r = rig_load();
    GIVES(100, r.cu.Init(0));
}

static void little_memory(void)
{
    standin_rig r = rig_open();
    cu_memory a, b;
    size_t unused, all;
    GIVES(CU_OUT_OF_MEMORY, r.cu.MemAlloc(&a, 1001));
    GOOD(r.cu.MemAlloc(&a, 600));
    GIVES(CU_OUT_OF_MEMORY, r.cu.MemAlloc(&b, 600));
    GOOD(r.cu.MemGetInfo(&unused, &all));
    MUST(unused == 400 && all == 1000);
    GOOD(r.cu.MemFree(a));
    GOOD(r.cu.MemAlloc(&b, 600));
}

static void no_context(void)
{
    standin_rig r = rig_load();
    cu_memory m;
    GIVES(CU_NOT_INITIALIZED, r.cu.MemAlloc(&m, 4));
    GOOD(r.cu.Init(0));
    GIVES(201, r.cu.MemAlloc(&m, 4));
}

START_TEST(calls_fail_on_command)
{
    expect_fine("STANDIN_LEAKS=1 STANDIN_FAIL=GraphLaunch:3:700", third_launch_fails);
    expect_fine("STANDIN_FAIL=Init:1:100", no_device);
    expect_fine("STANDIN_DEVICES=0", no_device);
    expect_fine("STANDIN_MEMORY=1000", little_memory);
    expect_fine("", no_context);
    expect_abort("STANDIN_FAIL=Nothing:1:1", no_device, "STANDIN_FAIL names Nothing");
}
END_TEST

static void names(void)
{
    standin_rig r = rig_open();
    cu_function f;
    char name[40];
    int major, version;
#define FIND(kernel, types, writes) GOOD(r.cu.ModuleGetFunction(&f, r.module, "bptt_" #kernel));
    KERNEL_LIST(FIND)
    LOWERED_LIST(FIND)
#undef FIND
    GIVES(CU_NOT_FOUND, r.cu.ModuleGetFunction(&f, r.module, "bptt_nothing"));
    GIVES(CU_NOT_FOUND, r.cu.ModuleGetFunction(&f, r.module, "copy"));
    GOOD(r.cu.DeviceGetName(name, sizeof name, 1));
    MUST(strcmp(name, "Stand-in 1") == 0);
    GOOD(r.cu.DeviceGetAttribute(&major, CU_ATTRIBUTE_MAJOR, 1));
    GOOD(r.cu.DriverGetVersion(&version));
    MUST(major == 8 && version == 12080);
}

START_TEST(devices_and_kernels_have_their_names)
{
    expect_fine("STANDIN_DEVICES=2 STANDIN_CC=8.6 STANDIN_DRIVER=12080", names);
}
END_TEST

static void leaves_an_event(void)
{
    standin_rig r = rig_open();
    cu_event e;
    GOOD(r.cu.EventCreate(&e, CU_EVENT_DEFAULT));
    rig_close(&r);
}

START_TEST(what_is_left_alive_is_reported)
{
    const outcome o = in_child("STANDIN_LEAKS=1", leaves_an_event);
    ck_assert(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 99);
    ck_assert_ptr_nonnull(strstr(o.words, "leak: event"));
    expect_fine("", leaves_an_event);
}
END_TEST

static void is_timed(void)
{
    standin_rig r = rig_open();
    cu_event from, to;
    float ms = -1;
    cu_memory m = rig_memory(&r, 5);
    GOOD(r.cu.EventCreate(&from, CU_EVENT_DEFAULT));
    GOOD(r.cu.EventCreate(&to, CU_EVENT_DEFAULT));
    GOOD(r.cu.EventRecord(from, r.main));
    GOOD(rig_fill(&r, r.main, m, rig_view(0, 1, 5, 5), 4));
    GOOD(r.cu.EventRecord(to, r.main));
    GIVES(600, r.cu.EventElapsedTime(&ms, from, to));
    GOOD(r.cu.EventSynchronize(to));
    GOOD(r.cu.EventElapsedTime(&ms, from, to));
    MUST(ms >= 0);
}

START_TEST(events_take_the_time) { expect_fine("", is_timed); }
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, captures_forbid_what_cuda_forbids);
    tcase_add_test(c, calls_fail_on_command);
    tcase_add_test(c, devices_and_kernels_have_their_names);
    tcase_add_test(c, what_is_left_alive_is_reported);
    tcase_add_test(c, events_take_the_time);
}

int main(void) { return run_suite("standin_calls", add, 60); }
