// An interrupt puts each byte that comes into a ring. The emulator holds bytes back until the last one was read, so a
// ring that is full only has to stop reading, and nothing is lost.

#include "py/mphal.h"
#include "py/runtime.h"
#include "shared/runtime/interrupt_char.h"
#include "uart.h"

typedef struct {
    volatile uint32_t data;
    volatile uint32_t state;
    volatile uint32_t control;
    volatile uint32_t interrupt;
    volatile uint32_t divider;
} registers_t;

#define REGISTERS(n)    ((registers_t *)(0x40004000 + 0x1000 * (n)))
#define NVIC_ENABLE     (*(volatile uint32_t *)0xE000E100)

#define SEND_FULL       (1 << 0)
#define RECEIVE_FULL    (1 << 1)
#define ENABLE          (3 << 0)
#define RECEIVE_INTERRUPT (1 << 3)
#define RECEIVE_CLEAR   (1 << 1)

// A power of two, and more than a tick brings.
#define RING_SIZE       (2048)

typedef struct {
    volatile uint32_t in;
    volatile uint32_t out;
    uint8_t bytes[RING_SIZE];
} ring_t;

static ring_t rings[UARTS];

void uart_init(void) {
    for (int n = 0; n < UARTS; n++) {
        REGISTERS(n)->divider = 16;
        REGISTERS(n)->control = ENABLE | RECEIVE_INTERRUPT;
        NVIC_ENABLE = 1 << UART_IRQ(n);
    }
}

static void receive(int n) {
    ring_t *ring = &rings[n];
    registers_t *uart = REGISTERS(n);
    uart->interrupt = RECEIVE_CLEAR;
    while (uart->state & RECEIVE_FULL) {
        if (uart_waiting(n) == RING_SIZE) {
            uart->control = ENABLE;
            return;
        }
        uint8_t byte = uart->data;
        if (n == 0 && byte == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            ring->bytes[ring->in % RING_SIZE] = byte;
            ring->in++;
        }
    }
}

void uart0_interrupt(void) {
    receive(0);
}

void uart1_interrupt(void) {
    receive(1);
}

size_t uart_waiting(int n) {
    return rings[n].in - rings[n].out;
}

size_t uart_read(int n, uint8_t *buffer, size_t size) {
    ring_t *ring = &rings[n];
    size_t count = 0;
    while (count < size && ring->in != ring->out) {
        buffer[count++] = ring->bytes[ring->out % RING_SIZE];
        ring->out++;
    }
    if (!(REGISTERS(n)->control & RECEIVE_INTERRUPT)) {
        uint32_t mask = begin_atomic();
        REGISTERS(n)->control = ENABLE | RECEIVE_INTERRUPT;
        receive(n);
        end_atomic(mask);
    }
    return count;
}

size_t uart_write(int n, const uint8_t *buffer, size_t size) {
    size_t count = 0;
    while (count < size && !(REGISTERS(n)->state & SEND_FULL)) {
        REGISTERS(n)->data = buffer[count++];
    }
    return count;
}

void sleep_unless(bool (*ready)(void)) {
    // With interrupts masked, one that comes between the question and the sleep still ends the sleep.
    uint32_t mask = begin_atomic();
    if (!ready()) {
        __asm volatile ("wfi");
    }
    end_atomic(mask);
}
