// The CMSDK UARTs: 0 is the link or the REPL, 1 the harness.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UARTS (2)
// Each UART has one interrupt for receiving, then one for sending.
#define UART_IRQ(n) (2 * (n))

void uart_init(void);
void uart0_interrupt(void);
void uart1_interrupt(void);
// Bytes that have come and were not read.
size_t uart_waiting(int n);
// Returns the number of bytes read, perhaps none.
size_t uart_read(int n, uint8_t *buffer, size_t size);
// Returns the number of bytes sent, fewer if the other side does not take them now.
size_t uart_write(int n, const uint8_t *buffer, size_t size);
// Sleeps until an interrupt, unless ``ready()`` is true.
void sleep_unless(bool (*ready)(void));
