// Vectors, and what happens when the processor cannot go on: a message and a failure status, never a hang.

#include <stdint.h>
#include <stdio.h>

#include "semihosting.h"
#include "uart.h"

extern uint32_t stack_top;
int main(void);

#define FAULT_STATUS (70)
#define CFSR (*(volatile uint32_t *)0xE000ED28)

static uint32_t fault_stack[256];

void reset(void) {
    semihosting_exit(main());
}

static void report_fault(const uint32_t *frame, uint32_t vector) {
    extern uint32_t stack_bottom;
    // A stack that ran off its memory left no frame to read.
    uint32_t pc = frame >= &stack_bottom && frame < &stack_top ? frame[6] : 0;
    char message[96];
    int size = snprintf(message, sizeof(message), "fault: vector %u, pc 0x%08x, sp 0x%08x, cfsr 0x%08x\n",
        (unsigned)vector, (unsigned)pc, (unsigned)frame, (unsigned)CFSR);
    semihosting_write(message, size);
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
