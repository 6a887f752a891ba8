// mps2: what this board has and others lack. The two UARTs, sleep, and a counter of instructions.

#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "semihosting.h"
#include "uart.h"

static int uart_number(mp_obj_t n_in) {
    mp_int_t n = mp_obj_get_int(n_in);
    if (n < 0 || n >= UARTS) {
        mp_raise_ValueError(MP_ERROR_TEXT("no such UART"));
    }
    return n;
}

// read(uart, buffer): take what has come, without waiting; return the number of bytes.
static mp_obj_t mps2_read(mp_obj_t n, mp_obj_t buffer_in) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(buffer_in, &buffer, MP_BUFFER_WRITE);
    return MP_OBJ_NEW_SMALL_INT(uart_read(uart_number(n), buffer.buf, buffer.len));
}
static MP_DEFINE_CONST_FUN_OBJ_2(mps2_read_obj, mps2_read);

// write(uart, buffer, size): send buffer[:size]; return the number of bytes that the other side took.
static mp_obj_t mps2_write(mp_obj_t n, mp_obj_t buffer_in, mp_obj_t size_in) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(buffer_in, &buffer, MP_BUFFER_READ);
    mp_uint_t size = mp_obj_get_int(size_in);
    return MP_OBJ_NEW_SMALL_INT(uart_write(uart_number(n), buffer.buf, size < buffer.len ? size : buffer.len));
}
static MP_DEFINE_CONST_FUN_OBJ_3(mps2_write_obj, mps2_write);

// read_file(path, buffer): fill the buffer from the beginning of the host's file; return the number of bytes.
static mp_obj_t mps2_read_file(mp_obj_t path, mp_obj_t buffer_in) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(buffer_in, &buffer, MP_BUFFER_WRITE);
    int handle = semihosting_open(mp_obj_str_get_str(path), OPEN_READ);
    if (handle < 0) {
        mp_raise_OSError(MP_ENOENT);
    }
    size_t size = semihosting_read(handle, buffer.buf, buffer.len);
    semihosting_close(handle);
    return MP_OBJ_NEW_SMALL_INT(size);
}
static MP_DEFINE_CONST_FUN_OBJ_2(mps2_read_file_obj, mps2_read_file);

static size_t wanted[UARTS];

static bool enough_came(void) {
    return uart_waiting(0) >= wanted[0] || uart_waiting(1) >= wanted[1];
}

// wait(bytes_0, bytes_1): sleep until that many bytes wait on UART 0 or on UART 1; return 1, 2 or both as 3.
static mp_obj_t mps2_wait(mp_obj_t bytes_0, mp_obj_t bytes_1) {
    wanted[0] = mp_obj_get_int(bytes_0);
    wanted[1] = mp_obj_get_int(bytes_1);
    while (!enough_came()) {
        sleep_unless(enough_came);
        mp_handle_pending(MP_HANDLE_PENDING_CALLBACKS_AND_EXCEPTIONS);
    }
    return MP_OBJ_NEW_SMALL_INT((uart_waiting(0) >= wanted[0]) | (uart_waiting(1) >= wanted[1]) << 1);
}
static MP_DEFINE_CONST_FUN_OBJ_2(mps2_wait_obj, mps2_wait);

// The number of instructions executed since the start, when QEMU runs with -icount shift=6. Each of them then takes
// 64 ns, more than a period of the 25 MHz clock, so that the clock tells every single one:
// ticks = floor(instructions * 64 / 40).
static uint64_t executed(void) {
    return (clock_ticks() * 5 + 7) / 8;
}

// instructions(): the number of them, modulo 2^30.
static mp_obj_t mps2_instructions(void) {
    return MP_OBJ_NEW_SMALL_INT(executed() & 0x3FFFFFFF);
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_instructions_obj, mps2_instructions);

static mp_int_t taken;

// call(function, *arguments): return what the function returns; took() then tells how many instructions the call took.
static mp_obj_t mps2_call(size_t n, const mp_obj_t *arguments) {
    uint64_t before = executed();
    uint64_t begun = executed();
    mp_obj_t result = mp_call_function_n_kw(arguments[0], n - 1, 0, arguments + 1);
    taken = executed() - begun - (begun - before);
    return result;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR(mps2_call_obj, 1, mps2_call);

static mp_obj_t mps2_took(void) {
    return mp_obj_new_int(taken);
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_took_obj, mps2_took);

static const mp_rom_map_elem_t mps2_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_mps2) },
    { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mps2_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&mps2_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_read_file), MP_ROM_PTR(&mps2_read_file_obj) },
    { MP_ROM_QSTR(MP_QSTR_wait), MP_ROM_PTR(&mps2_wait_obj) },
    { MP_ROM_QSTR(MP_QSTR_instructions), MP_ROM_PTR(&mps2_instructions_obj) },
    { MP_ROM_QSTR(MP_QSTR_call), MP_ROM_PTR(&mps2_call_obj) },
    { MP_ROM_QSTR(MP_QSTR_took), MP_ROM_PTR(&mps2_took_obj) },
};
static MP_DEFINE_CONST_DICT(mps2_dict, mps2_table);

const mp_obj_module_t mps2_module = {{&mp_type_module}, (mp_obj_dict_t *)&mps2_dict};
MP_REGISTER_MODULE(MP_QSTR_mps2, mps2_module);
