// Functions of a program that have names which bptt uses inside; tests/consumers.sh links it with consumer.c. None may
// be called by bptt, and each must be called by the program.
#include <stddef.h>

int sha256_hex(int x);
int crc32c(int x);
int choose(int x);
int write_all(int x);
int machine_memory(int x);
int own_names_work(void);

static int calls;
int sha256_hex(int x) { return calls++, x + 1; }
int crc32c(int x) { return calls++, x + 2; }
int choose(int x) { return calls++, x + 3; }
int write_all(int x) { return calls++, x + 4; }
int machine_memory(int x) { return calls++, x + 5; }

int own_names_work(void)
{
    const int sum = sha256_hex(1) + crc32c(2) + choose(3) + write_all(4) + machine_memory(5);
    return sum == 30 && calls == 5;
}
