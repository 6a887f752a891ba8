// Arm semihosting: what the emulator does for the program in it. Paths are the host's, relative ones from QEMU's folder.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// As in fopen, all of them binary.
#define OPEN_READ       (1)
#define OPEN_WRITE      (5)
#define OPEN_APPEND     (9)

// Returns a handle, or -1.
int semihosting_open(const char *path, int mode);
void semihosting_close(int handle);
// Returns the number of bytes read, 0 at the end of the file.
size_t semihosting_read(int handle, void *buffer, size_t size);
// Returns the number of bytes written.
size_t semihosting_write(int handle, const void *buffer, size_t size);
// Lets the next byte be written behind the last one; QEMU 7 forgets to when a file is opened for that.
void semihosting_seek_end(int handle);
// Returns the file's size in bytes.
size_t semihosting_size(int handle);
// Removes a file or an empty folder; returns whether it did.
bool semihosting_remove(const char *path);
// Puts a file in the place of another one, if there is one; returns whether it did.
bool semihosting_rename(const char *from, const char *to);
// Lets the host's shell run a command; returns whether it ended well.
bool semihosting_shell(const char *command);
// Why the last call failed: one of MP_E...
int semihosting_errno(void);
// Chooses the console, once; without it, QEMU's standard output is.
#define CONSOLE_OUTPUT  OPEN_WRITE
#define CONSOLE_ERRORS  OPEN_APPEND
void semihosting_console(int mode);
// Writes on the console.
void semihosting_print(const char *text, size_t size);
// Fills the buffer with the command line, ended by a zero; returns whether there is one.
int semihosting_command_line(char *buffer, size_t size);
__attribute__((noreturn)) void semihosting_exit(int status);
