#include <string.h>

#include "semihosting.h"

#define SYS_OPEN            (0x01)
#define SYS_CLOSE           (0x02)
#define SYS_WRITE           (0x05)
#define SYS_READ            (0x06)
#define SYS_SEEK            (0x0A)
#define SYS_FLEN            (0x0C)
#define SYS_REMOVE          (0x0E)
#define SYS_RENAME          (0x0F)
#define SYS_SYSTEM          (0x12)
#define SYS_ERRNO           (0x13)
#define SYS_GET_CMDLINE     (0x15)
#define SYS_EXIT_EXTENDED   (0x20)

#define APPLICATION_EXIT    (0x20026)

static int32_t call(uint32_t operation, const uint32_t *arguments) {
    register uint32_t r0 __asm ("r0") = operation;
    register const uint32_t *r1 __asm ("r1") = arguments;
    __asm volatile ("bkpt 0xAB" : "+r" (r0) : "r" (r1) : "memory");
    return r0;
}

int semihosting_open(const char *path, int mode) {
    return call(SYS_OPEN, (uint32_t[]) {(uint32_t)path, mode, strlen(path)});
}

void semihosting_close(int handle) {
    call(SYS_CLOSE, (uint32_t[]) {handle});
}

// Reading and writing tell how many bytes are missing.
static size_t transfer(uint32_t operation, int handle, const void *buffer, size_t size) {
    int32_t missing = call(operation, (uint32_t[]) {handle, (uint32_t)buffer, size});
    return missing < 0 || (size_t)missing > size ? 0 : size - missing;
}

size_t semihosting_read(int handle, void *buffer, size_t size) {
    return transfer(SYS_READ, handle, buffer, size);
}

size_t semihosting_write(int handle, const void *buffer, size_t size) {
    return transfer(SYS_WRITE, handle, buffer, size);
}

size_t semihosting_size(int handle) {
    int32_t size = call(SYS_FLEN, (uint32_t[]) {handle});
    return size < 0 ? 0 : size;
}

void semihosting_seek_end(int handle) {
    call(SYS_SEEK, (uint32_t[]) {handle, semihosting_size(handle)});
}

bool semihosting_remove(const char *path) {
    return call(SYS_REMOVE, (uint32_t[]) {(uint32_t)path, strlen(path)}) == 0;
}

bool semihosting_rename(const char *from, const char *to) {
    return call(SYS_RENAME, (uint32_t[]) {(uint32_t)from, strlen(from), (uint32_t)to, strlen(to)}) == 0;
}

bool semihosting_shell(const char *command) {
    return call(SYS_SYSTEM, (uint32_t[]) {(uint32_t)command, strlen(command)}) == 0;
}

int semihosting_errno(void) {
    return call(SYS_ERRNO, NULL);
}

static int console = -1;

void semihosting_console(int mode) {
    if (console < 0) {
        console = semihosting_open(":tt", mode);
    }
}

void semihosting_print(const char *text, size_t size) {
    semihosting_console(CONSOLE_OUTPUT);
    semihosting_write(console, text, size);
}

int semihosting_command_line(char *buffer, size_t size) {
    return call(SYS_GET_CMDLINE, (uint32_t[]) {(uint32_t)buffer, size}) == 0;
}

void semihosting_exit(int status) {
    for (;;) {
        call(SYS_EXIT_EXTENDED, (uint32_t[]) {APPLICATION_EXIT, status});
    }
}
