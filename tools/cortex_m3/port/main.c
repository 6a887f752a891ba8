// Runs the script that the semihosting command line names, as the unix port would; without one, the REPL on UART 0.

#include <string.h>

#include "py/compile.h"
#include "py/cstack.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "shared/runtime/gchelper.h"
#include "shared/runtime/pyexec.h"
#include "semihosting.h"
#include "uart.h"

// What an RP2040 leaves to Python.
#define HEAP_SIZE (192 * 1024)

extern char stack_bottom, stack_top;

static char heap[HEAP_SIZE] __attribute__((aligned(16)));
// A board's console is UART 0. What its script prints is for the host's log too.
static bool console_is_uart;
static bool script_runs;

// ---- the console ----------------------------------------------------------------------------

static bool key_came(void) {
    return uart_waiting(0) > 0;
}

int mp_hal_stdin_rx_chr(void) {
    uint8_t byte;
    while (uart_read(0, &byte, 1) == 0) {
        sleep_unless(key_came);
        mp_handle_pending(MP_HANDLE_PENDING_CALLBACKS_AND_EXCEPTIONS);
    }
    return byte;
}

mp_uint_t mp_hal_stdout_tx_strn(const char *text, size_t size) {
    if (script_runs) {
        semihosting_print(text, size);
    }
    size_t sent = 0;
    while (console_is_uart && sent < size) {
        sent += uart_write(0, (const uint8_t *)text + sent, size - sent);
        if (script_runs) {
            // It never waits for a reader.
            break;
        }
    }
    return size;
}

void mp_hal_stdout_tx_str(const char *text) {
    mp_hal_stdout_tx_strn(text, strlen(text));
}

// A terminal wants \r\n; what a script prints is to be what it prints on the unix port.
void mp_hal_stdout_tx_strn_cooked(const char *text, size_t size) {
    while (console_is_uart && size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t line = end ? (size_t)(end - text) : size;
        mp_hal_stdout_tx_strn(text, line);
        if (!end) {
            return;
        }
        mp_hal_stdout_tx_strn("\r\n", 2);
        text += line + 1;
        size -= line + 1;
    }
    mp_hal_stdout_tx_strn(text, size);
}

// ---- the interpreter ------------------------------------------------------------------------

void gc_collect(void) {
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
    gc_collect_end();
}

void nlr_jump_fail(void *value) {
    (void)value;
    static const char message[] = "fault: an exception that nothing catches\n";
    semihosting_print(message, sizeof(message) - 1);
    semihosting_exit(70);
}

// Cuts the text at the first separator and returns what is behind it, or NULL.
static char *cut(char *text, char separator) {
    char *end = strchr(text, separator);
    if (end) {
        *end++ = '\0';
    }
    return end;
}

static void add_str(mp_obj_t list, const char *text) {
    mp_obj_list_append(list, mp_obj_new_str(text, strlen(text)));
}

// The command line is what the console is ("uart" or "host"), a search path as in MICROPYPATH, the script and its
// arguments, one a line, so that names may hold blanks. Returns the script, or NULL.
static const char *take_command_line(char *console) {
    char *path = cut(console, '\n');
    char *script = path ? cut(path, '\n') : NULL;
    console_is_uart = strcmp(console, "uart") == 0;
    semihosting_console(console_is_uart ? CONSOLE_ERRORS : CONSOLE_OUTPUT);
    for (char *next, *argument = script; argument; argument = next) {
        next = cut(argument, '\n');
        add_str(mp_sys_argv, argument);
    }
    if (script) {
        // The script's own directory comes first.
        const char *slash = strrchr(script, '/');
        mp_obj_list_append(mp_sys_path, mp_obj_new_str(script, slash ? slash - script : 0));
    }
    for (char *next; path; path = next) {
        next = cut(path, ':');
        add_str(mp_sys_path, path);
    }
    return script;
}

static void repl(void) {
    while (!(pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl())) {
    }
}

int main(void) {
    static char line[4096];
    uart_init();
    for (;;) {
        mp_cstack_init_with_top(&stack_top, &stack_top - &stack_bottom);
        gc_init(heap, heap + sizeof(heap));
        mp_init();
        if (!semihosting_command_line(line, sizeof(line))) {
            line[0] = '\0';
        }
        const char *script = take_command_line(line);
        if (script) {
            script_runs = true;
            return pyexec_file(script) & 0xFF;
        }
        repl();
        // Ctrl-D: a soft reset, after which the host expects a board that came up again.
        mp_hal_stdout_tx_str("MPY: soft reboot\r\n");
        gc_sweep_all();
        mp_deinit();
    }
}
