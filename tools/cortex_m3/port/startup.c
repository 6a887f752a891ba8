// Vectors, forbidden memory, and what happens when the processor cannot go on: a message and a failure status, never a
// hang.

#include <stdint.h>
#include <stdio.h>

#include "semihosting.h"
#include "uart.h"

extern uint32_t stack_top;
int main(void);

#define FAULT_STATUS (70)
#define CFSR (*(volatile uint32_t *)0xE000ED28)

#define MPU_CONTROL (*(volatile uint32_t *)0xE000ED94)
#define MPU_BASE    (*(volatile uint32_t *)0xE000ED9C)
#define MPU_SIZE    (*(volatile uint32_t *)0xE000EDA0)
#define MPU_ON      (5)

// A region of 2^bits bytes.
#define REGION(bits, access) ((access) | ((bits) - 1) << 1 | 1)
#define READ_ONLY   (6 << 24)
#define NO_ACCESS   (1 << 28)

static uint32_t fault_stack[256];

// QEMU lets reserved addresses read as zero and takes writes to them and to code. Here they fault, so that a stack that
// overflows, a lost pointer and a jump to nowhere end the program.
static void forbid_memory(void) {
    static const uint32_t regions[][2] = {
        {0x00000000, REGION(22, READ_ONLY)},
        {0x10000000, REGION(28, NO_ACCESS)},
        {0x20800000, REGION(23, NO_ACCESS)},
    };
    for (uint32_t n = 0; n < 3; n++) {
        MPU_BASE = regions[n][0] | 1 << 4 | n;
        MPU_SIZE = regions[n][1];
    }
    MPU_CONTROL = MPU_ON;
    __asm volatile ("dsb\n isb");
}

void reset(void) {
    forbid_memory();
    semihosting_exit(main());
}

static void report_fault(const uint32_t *frame, uint32_t vector) {
    extern uint32_t stack_bottom;
    // A stack that ran off its memory left no frame to read.
    uint32_t pc = frame >= &stack_bottom && frame < &stack_top ? frame[6] : 0;
    char message[96];
    int size = snprintf(message, sizeof(message), "fault: vector %u, pc 0x%08x, sp 0x%08x, cfsr 0x%08x\n",
        (unsigned)vector, (unsigned)pc, (unsigned)frame, (unsigned)CFSR);
    semihosting_print(message, size);
    semihosting_exit(FAULT_STATUS);
}

// The fault may be that there is no stack, so the report brings its own.
__attribute__((naked)) static void fault(void) {
    __asm volatile (
        "mrs r0, msp\n"
        "mrs r1, ipsr\n"
        "ldr r2, =%c0\n"
        "msr msp, r2\n"
        "ldr r2, =%c1\n"
        "bx r2\n"
        : : "i" (fault_stack + 256), "i" (report_fault));
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16 + 5] = {
    &stack_top, reset,
    [2 ... 20] = fault,
    [16 + UART_IRQ(0)] = uart0_interrupt,
    [16 + UART_IRQ(1)] = uart1_interrupt,
};
