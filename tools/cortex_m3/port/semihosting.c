#include <string.h>

#include "semihosting.h"

#define SYS_OPEN            (0x01)
#define SYS_CLOSE           (0x02)
#define SYS_WRITE           (0x05)
#define SYS_READ            (0x06)
#define SYS_GET_CMDLINE     (0x15)
#define SYS_EXIT_EXTENDED   (0x20)

#define MODE_READ_BINARY    (1)
#define MODE_WRITE          (4)
#define APPLICATION_EXIT    (0x20026)

static int32_t call(uint32_t operation, const uint32_t *arguments) {
    register uint32_t r0 __asm ("r0") = operation;
    register const uint32_t *r1 __asm ("r1") = arguments;
    __asm volatile ("bkpt 0xAB" : "+r" (r0) : "r" (r1) : "memory");
    return r0;
}

int semihosting_open(const char *path) {
    return call(SYS_OPEN, (uint32_t[]) {(uint32_t)path, MODE_READ_BINARY, strlen(path)});
}

void semihosting_close(int handle) {
    call(SYS_CLOSE, (uint32_t[]) {handle});
}

size_t semihosting_read(int handle, void *buffer, size_t size) {
    int32_t missing = call(SYS_READ, (uint32_t[]) {handle, (uint32_t)buffer, size});
    return missing < 0 || (size_t)missing > size ? 0 : size - missing;
}

void semihosting_write(const char *text, size_t size) {
    static int console = -1;
    if (console < 0) {
        console = call(SYS_OPEN, (uint32_t[]) {(uint32_t)":tt", MODE_WRITE, 3});
    }
    call(SYS_WRITE, (uint32_t[]) {console, (uint32_t)text, size});
}

int semihosting_command_line(char *buffer, size_t size) {
    return call(SYS_GET_CMDLINE, (uint32_t[]) {(uint32_t)buffer, size}) == 0;
}

void semihosting_exit(int status) {
    for (;;) {
        call(SYS_EXIT_EXTENDED, (uint32_t[]) {APPLICATION_EXIT, status});
    }
}
