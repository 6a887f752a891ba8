// The REPL on UART 0, polled: there are no interrupts, no timers and no files.

#include <string.h>

#include "py/builtin.h"
#include "py/cstack.h"
#include "py/gc.h"
#include "py/lexer.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "shared/runtime/gchelper.h"
#include "shared/runtime/pyexec.h"

#define UART_DATA   (*(volatile uint32_t *)0x40034000)
#define UART_FLAGS  (*(volatile uint32_t *)0x40034018)
#define RECEIVE_EMPTY (1 << 4)
#define SEND_FULL   (1 << 5)

#define HEAP_SIZE (128 * 1024)

extern uint32_t stack_bottom, stack_top, data_start, data_end, data_load, bss_start, bss_end;

static char heap[HEAP_SIZE] __attribute__((aligned(16)));

static void run(void);

__attribute__((naked, section(".start"), used)) void start(void) {
    __asm volatile (
        "ldr r0, =stack_top\n"
        "mov sp, r0\n"
        "ldr r0, =%c0\n"
        "bx r0\n"
        ".ltorg\n"
        : : "i" (run));
}

static void run(void) {
    memcpy(&data_start, &data_load, (char *)&data_end - (char *)&data_start);
    memset(&bss_start, 0, (char *)&bss_end - (char *)&bss_start);
    for (;;) {
        mp_cstack_init_with_top(&stack_top, (char *)&stack_top - (char *)&stack_bottom);
        gc_init(heap, heap + sizeof(heap));
        mp_init();
        while (!(pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl())) {
        }
        mp_hal_stdout_tx_str("MPY: soft reboot\r\n");
        gc_sweep_all();
        mp_deinit();
    }
}

int mp_hal_stdin_rx_chr(void) {
    while (UART_FLAGS & RECEIVE_EMPTY) {
    }
    return UART_DATA & 0xFF;
}

mp_uint_t mp_hal_stdout_tx_strn(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        while (UART_FLAGS & SEND_FULL) {
        }
        UART_DATA = text[i];
    }
    return size;
}

mp_uint_t mp_hal_ticks_ms(void) {
    return 0;
}

void gc_collect(void) {
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
    gc_collect_end();
}

mp_lexer_t *mp_lexer_new_from_file(qstr name) {
    mp_raise_OSError(MP_ENOENT);
}

mp_import_stat_t mp_import_stat(const char *path) {
    return MP_IMPORT_STAT_NO_EXIST;
}

void nlr_jump_fail(void *value) {
    mp_hal_stdout_tx_str("fault: an exception that nothing catches\r\n");
    for (;;) {
    }
}
