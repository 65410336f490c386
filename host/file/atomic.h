// Atomic replacement of a file.
#ifndef ATOMIC_H
#define ATOMIC_H

#include "bptt.h"

// Opens a temporary file beside path, mode 0666 less the umask (an existing file's mode is kept). *fd is open for read
// and write. If path is a symbolic link, the file it points to is the one replaced. Errors: IO, NO_MEMORY.
// A killed process leaves at most its temporary file, .<name>.tmp.<process>.<n>.
typedef struct atomic_file atomic_file;
bptt_status atomic_open(const char *path, atomic_file **f, int *fd, bptt_error *e);
// fsync, rename over path, fsync of the folder. Always closes f; on failure path is unchanged and the temporary file
// is removed. (If only the last fsync fails, the new file is in place, and the error says so.)
bptt_status atomic_commit(atomic_file *f, bptt_error *e);
void atomic_abort(atomic_file *f); // NULL is fine
// Writes all of data [bytes]; handles short writes and EINTR.
bptt_status write_all(int fd, const void *data, size_t bytes, const char *path, bptt_error *e);
// Fills *e with "path: what: " and the text of errno; returns code.
bptt_status file_fail(bptt_error *e, bptt_status code, const char *path, const char *what);
#endif
