// What this MicroPython has: what machine code for the Cortex-M0+ needs, and no modules but the core's.

#include <alloca.h>
#include <stdint.h>

#define MICROPY_CONFIG_ROM_LEVEL        (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

#define MICROPY_EMIT_THUMB              (1)
#define MICROPY_EMIT_THUMB_ARMV7M       (0)
// Machine code that the compiler has put on the heap is entered in Thumb state.
#define MICROPY_MAKE_POINTER_CALLABLE(p) ((void *)((uint32_t)(p) | 1))

#define MICROPY_ENABLE_GC               (1)
#define MICROPY_STACK_CHECK_MARGIN      (1024)
#define MICROPY_LONGINT_IMPL            (MICROPY_LONGINT_IMPL_MPZ)
#define MICROPY_FLOAT_IMPL              (MICROPY_FLOAT_IMPL_NONE)
#define MICROPY_PY_CMATH                (0)

#define MICROPY_READER_VFS              (0)
#define MICROPY_PY_IO                   (0)
#define MICROPY_PY_SYS_STDFILES         (0)
#define MICROPY_PY_BUILTINS_INPUT       (0)
#define MICROPY_PY_ASYNCIO              (0)
#define MICROPY_PY_UCTYPES              (0)
#define MICROPY_PY_TIME                 (0)

#define MICROPY_HW_BOARD_NAME           "emulated"
#define MICROPY_HW_MCU_NAME             "RP2040"

#define MP_STATE_PORT                   MP_STATE_VM

typedef long mp_off_t;
// newlib has it in POSIX mode only.
#define MP_SSIZE_MAX                    INT32_MAX
