#include "cl_api.h"
#include "library.h"

#include <pthread.h>
#include <stdio.h>

static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;

void cl_lock(void) { (void)pthread_mutex_lock(&starting); }
void cl_unlock(void) { (void)pthread_mutex_unlock(&starting); }

bptt_status cl_api_load(cl_api *api, bptt_error *e)
{
    static const char *const file[] = {"libOpenCL.so.1", NULL};
    library driver;
    if (!library_open(&driver, file))
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "libOpenCL.so.1 was not found: install an OpenCL driver (Debian: ocl-icd-libopencl1 and, for "
                         "example, pocl-opencl-icd) (%s)",
                         driver.words);
    static const char *const name[] = {
#define CL_API_NAME(name) "cl" #name,
        CL_API_LIST(CL_API_NAME)
#undef CL_API_NAME
    };
    enum { N = sizeof name / sizeof name[0] };
    _Static_assert(N * sizeof(void *) == sizeof *api, "a member of cl_api is more than a pointer");
    const char *const missing = library_find(&driver, name, N, api);
    if (missing)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "libOpenCL.so.1 has no %s: it is older than OpenCL 1.2; install a newer one (Debian: "
                         "ocl-icd-libopencl1)",
                         missing);
    return BPTT_OK;
}

// clang-format off
#define CL_ERROR_LIST(X) \
    X(CL_SUCCESS) X(CL_DEVICE_NOT_FOUND) X(CL_DEVICE_NOT_AVAILABLE) X(CL_COMPILER_NOT_AVAILABLE) \
    X(CL_MEM_OBJECT_ALLOCATION_FAILURE) X(CL_OUT_OF_RESOURCES) X(CL_OUT_OF_HOST_MEMORY) \
    X(CL_PROFILING_INFO_NOT_AVAILABLE) X(CL_MEM_COPY_OVERLAP) X(CL_BUILD_PROGRAM_FAILURE) X(CL_MAP_FAILURE) \
    X(CL_MISALIGNED_SUB_BUFFER_OFFSET) X(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST) X(CL_COMPILE_PROGRAM_FAILURE) \
    X(CL_LINKER_NOT_AVAILABLE) X(CL_LINK_PROGRAM_FAILURE) X(CL_KERNEL_ARG_INFO_NOT_AVAILABLE) X(CL_INVALID_VALUE) \
    X(CL_INVALID_DEVICE_TYPE) X(CL_INVALID_PLATFORM) X(CL_INVALID_DEVICE) X(CL_INVALID_CONTEXT) \
    X(CL_INVALID_QUEUE_PROPERTIES) X(CL_INVALID_COMMAND_QUEUE) X(CL_INVALID_HOST_PTR) X(CL_INVALID_MEM_OBJECT) \
    X(CL_INVALID_BINARY) X(CL_INVALID_BUILD_OPTIONS) X(CL_INVALID_PROGRAM) X(CL_INVALID_PROGRAM_EXECUTABLE) \
    X(CL_INVALID_KERNEL_NAME) X(CL_INVALID_KERNEL_DEFINITION) X(CL_INVALID_KERNEL) X(CL_INVALID_ARG_INDEX) \
    X(CL_INVALID_ARG_VALUE) X(CL_INVALID_ARG_SIZE) X(CL_INVALID_KERNEL_ARGS) X(CL_INVALID_WORK_DIMENSION) \
    X(CL_INVALID_WORK_GROUP_SIZE) X(CL_INVALID_WORK_ITEM_SIZE) X(CL_INVALID_GLOBAL_OFFSET) \
    X(CL_INVALID_EVENT_WAIT_LIST) X(CL_INVALID_EVENT) X(CL_INVALID_OPERATION) X(CL_INVALID_BUFFER_SIZE) \
    X(CL_INVALID_GLOBAL_WORK_SIZE) X(CL_INVALID_PROPERTY)
// clang-format on

const char *cl_error_name(cl_int code, char *room, size_t n)
{
    static const struct {
        cl_int code;
        const char *name;
    } known[] = {
#define CL_ERROR_ROW(name) {name, #name},
        CL_ERROR_LIST(CL_ERROR_ROW)
#undef CL_ERROR_ROW
            {-1001, "CL_PLATFORM_NOT_FOUND_KHR"}, // cl_ext.h
        {-9999, "error -9999 (NVIDIA: a kernel read or wrote outside its memory)"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].code == code) return known[i].name;
    (void)snprintf(room, n, "error %d", (int)code);
    return room;
}
