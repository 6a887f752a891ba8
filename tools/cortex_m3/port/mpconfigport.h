// What this MicroPython has: a small board's, as rp2 and esp32 are configured, without the modules of extmod/.

#include <alloca.h>
#include <stdint.h>

#define MICROPY_CONFIG_ROM_LEVEL        (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

#define MICROPY_EMIT_THUMB              (1)
#define MICROPY_EMIT_INLINE_THUMB       (1)
// Machine code that the compiler has put on the heap is entered in Thumb state.
#define MICROPY_MAKE_POINTER_CALLABLE(p) ((void *)((uint32_t)(p) | 1))

// Boards have 128. There, which names fall on one place is chance, and another name anywhere moves a cycle's count by
// hundreds of instructions; here a count is the firmware's alone.
#define MICROPY_OPT_MAP_LOOKUP_CACHE_SIZE (1024)

#define MICROPY_ENABLE_GC               (1)
#define MICROPY_STACK_CHECK_MARGIN      (1024)
#define MICROPY_LONGINT_IMPL            (MICROPY_LONGINT_IMPL_MPZ)
// Single precision in boxes on the heap, so that float code costs what it costs on rp2 and esp32.
#define MICROPY_FLOAT_IMPL              (MICROPY_FLOAT_IMPL_FLOAT)
#define MICROPY_ERROR_REPORTING         (MICROPY_ERROR_REPORTING_DETAILED)
#define MICROPY_PYEXEC_ENABLE_EXIT_CODE_HANDLING (1)

// A tool may send half of it before it waits for a word, which takes milliseconds here. It is what uart.c holds.
#define MICROPY_REPL_STDIN_BUFFER_MAX   (2048)

#define MICROPY_PY_SYS_PLATFORM         "mps2"
// Files are streams, and so are .mpy files; the console is none.
#define MICROPY_PERSISTENT_CODE_LOAD    (1)
#define MICROPY_HAS_FILE_READER         (1)
#define MICROPY_PY_SYS_STDFILES         (0)
#define MICROPY_PY_JSON_SEPARATORS      (0)
#define MICROPY_PY_BUILTINS_INPUT       (0)
// These X
#define MICROPY_PY_ASYNCIO              (0)
#define MICROPY_PY_UCTYPES              (0)

#define MICROPY_HW_BOARD_NAME           "MPS2 AN385"
#define MICROPY_HW_MCU_NAME             "Cortex-M3"

#define MP_STATE_PORT                   MP_STATE_VM

typedef long mp_off_t;
// newlib has it in POSIX mode only.
#define MP_SSIZE_MAX                    INT32_MAX
