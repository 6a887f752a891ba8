#include "py/mpconfig.h"

// Without a type of pin here, py/mphal.h asks for a header of extmod/.
#define mp_hal_pin_obj_t int

static inline uint32_t begin_atomic(void) {
    uint32_t mask;
    __asm volatile ("mrs %0, primask\n cpsid i" : "=r" (mask) : : "memory");
    return mask;
}

static inline void end_atomic(uint32_t mask) {
    __asm volatile ("msr primask, %0" : : "r" (mask) : "memory");
}

#define MICROPY_BEGIN_ATOMIC_SECTION() begin_atomic()
#define MICROPY_END_ATOMIC_SECTION(mask) end_atomic(mask)

void mp_hal_set_interrupt_char(int c);

// 25 MHz ticks since the start.
uint64_t clock_ticks(void);
