// The stand-in's modules: every image contains the kernels of launch.h.
#include "standin.h"

#include "host_kernels.h"

#include <string.h>

struct cu_function_of {
    cu_module module;
    unsigned kernel;
};

struct cu_module_of {
    standin_object object;
    struct cu_function_of function[ALL_KERNELS];
};

static cu_result load_module(cu_module *module, const void *image)
{
    if (!image) return CU_INVALID_VALUE;
    cu_module m = standin_make(STANDIN_MODULE, sizeof *m);
    for (unsigned i = 0; i < ALL_KERNELS; i++) m->function[i] = (struct cu_function_of){m, i};
    *module = m;
    return 0;
}

static cu_result unload_module(cu_module m)
{
    standin_alive(m, STANDIN_MODULE);
    standin_drain();
    standin_unmake(m);
    return 0;
}

static cu_result get_function(cu_function *function, cu_module m, const char *name)
{
    standin_alive(m, STANDIN_MODULE);
    const bool ours = strncmp(name, "bptt_", 5) == 0;
    const unsigned kernel = ours ? host_kernel_named(name + 5) : ALL_KERNELS;
    if (kernel == ALL_KERNELS) return CU_NOT_FOUND;
    *function = &m->function[kernel];
    return 0;
}

static const struct cu_function_of *living_function(cu_function f)
{
    for (cu_module m = standin_next(STANDIN_MODULE, NULL); m; m = standin_next(STANDIN_MODULE, m))
        for (unsigned i = 0; i < ALL_KERNELS; i++)
            if (f == &m->function[i]) return f;
    standin_die("LaunchKernel: the function is of no module that is alive");
}

typedef struct size3 {
    unsigned x, y, z;
} size3;

static bool grid_is_fine(size3 grid, size3 block)
{
    const bool some = grid.x && grid.y && grid.z && block.x && block.y && block.z;
    const bool few = grid.x <= 0x7fffffff && grid.y <= 65535 && grid.z <= 65535;
    return some && few && block.x <= 1024 && block.y <= 1024 && block.z <= 64 &&
           (unsigned long long)block.x * block.y * block.z <= 1024;
}

static cu_result launch_kernel(cu_function function, size3 grid, size3 block, unsigned shared, cu_stream stream,
                               void **arguments, void **extra)
{
    const struct cu_function_of *f = living_function(function);
    standin_op op;
    standin_alive(stream, STANDIN_STREAM);
    if (!grid_is_fine(grid, block) || shared > 48 * 1024)
        return standin_refuse(CU_INVALID_VALUE,
                              "LaunchKernel: a grid of %u x %u x %u blocks of %u x %u x %u, %u bytes "
                              "shared",
                              grid.x, grid.y, grid.z, block.x, block.y, block.z, shared);
    if (grid.z != 1 || block.z != 1) standin_die("LaunchKernel: a grid of three dimensions");
    if (!arguments || extra) standin_die("LaunchKernel: arguments come in an array of pointers here");
    if (f->module->object.context != stream->object.context)
        return standin_refuse(CU_INVALID_HANDLE, "LaunchKernel: function and stream are of two contexts");
    const cu_result code = standin_kernel_op(f->kernel, arguments, &op);
    return code ? code : standin_queue(stream, &op);
}

cu_result cuModuleLoadData(cu_module *module, const void *image)
{
    STANDIN_CALL(ModuleLoadData, STANDIN_CONTEXT | STANDIN_WAITS, load_module(module, image));
}
cu_result cuModuleUnload(cu_module module)
{
    STANDIN_CALL(ModuleUnload, STANDIN_CONTEXT | STANDIN_WAITS | STANDIN_GIVES_BACK, unload_module(module));
}
cu_result cuModuleGetFunction(cu_function *function, cu_module module, const char *name)
{
    STANDIN_CALL(ModuleGetFunction, STANDIN_CONTEXT, get_function(function, module, name));
}
cu_result cuLaunchKernel(cu_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                         unsigned block_y, unsigned block_z, unsigned shared_bytes, cu_stream stream, void **arguments,
                         void **extra)
{
    STANDIN_CALL(LaunchKernel, STANDIN_CONTEXT,
                 launch_kernel(function, (size3){grid_x, grid_y, grid_z}, (size3){block_x, block_y, block_z},
                               shared_bytes, stream, arguments, extra));
}
