// Arm semihosting: what the emulator does for the program in it.

#include <stddef.h>
#include <stdint.h>

// Returns a handle, or -1.
int semihosting_open(const char *path);
void semihosting_close(int handle);
// Returns the number of bytes read, 0 at the end of the file.
size_t semihosting_read(int handle, void *buffer, size_t size);
// Writes on the console.
void semihosting_write(const char *text, size_t size);
// Fills the buffer with the command line, ended by a zero; returns whether there is one.
int semihosting_command_line(char *buffer, size_t size);
__attribute__((noreturn)) void semihosting_exit(int status);
