// time, as boards have it: ticks wrap at 2^30.

#include "py/mphal.h"
#include "py/runtime.h"
#include "py/smallint.h"

// The FPGA's counter of 25 MHz.
#define COUNTER (*(volatile uint32_t *)0x40028018)
#define TICKS_PER_US (25)
#define PERIOD (MP_SMALL_INT_POSITIVE_MASK + 1)

uint64_t clock_ticks(void) {
    // The counter wraps after 171 s; whoever cares for longer stretches asks more often than that.
    static uint32_t last;
    static uint64_t total;
    uint32_t mask = begin_atomic();
    uint32_t now = COUNTER;
    total += now - last;
    last = now;
    end_atomic(mask);
    return total;
}

mp_uint_t mp_hal_ticks_us(void) {
    return clock_ticks() / TICKS_PER_US;
}

mp_uint_t mp_hal_ticks_ms(void) {
    return clock_ticks() / (1000 * TICKS_PER_US);
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t end = clock_ticks() + (uint64_t)us * TICKS_PER_US;
    while (clock_ticks() < end) {
        mp_handle_pending(MP_HANDLE_PENDING_CALLBACKS_AND_EXCEPTIONS);
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    mp_hal_delay_us(1000 * ms);
}

static mp_obj_t time_ticks_us(void) {
    return MP_OBJ_NEW_SMALL_INT(mp_hal_ticks_us() & (PERIOD - 1));
}
static MP_DEFINE_CONST_FUN_OBJ_0(time_ticks_us_obj, time_ticks_us);

static mp_obj_t time_ticks_ms(void) {
    return MP_OBJ_NEW_SMALL_INT(mp_hal_ticks_ms() & (PERIOD - 1));
}
static MP_DEFINE_CONST_FUN_OBJ_0(time_ticks_ms_obj, time_ticks_ms);

static mp_obj_t time_ticks_diff(mp_obj_t later, mp_obj_t earlier) {
    mp_uint_t span = MP_OBJ_SMALL_INT_VALUE(later) - MP_OBJ_SMALL_INT_VALUE(earlier);
    // The nearer way round the circle, which may be backwards.
    return MP_OBJ_NEW_SMALL_INT((mp_int_t)((span + PERIOD / 2) & (PERIOD - 1)) - PERIOD / 2);
}
static MP_DEFINE_CONST_FUN_OBJ_2(time_ticks_diff_obj, time_ticks_diff);

static mp_obj_t time_ticks_add(mp_obj_t ticks, mp_obj_t span) {
    return MP_OBJ_NEW_SMALL_INT((MP_OBJ_SMALL_INT_VALUE(ticks) + mp_obj_get_int(span)) & (PERIOD - 1));
}
static MP_DEFINE_CONST_FUN_OBJ_2(time_ticks_add_obj, time_ticks_add);

static mp_obj_t time_sleep_us(mp_obj_t us) {
    mp_hal_delay_us(mp_obj_get_int(us));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(time_sleep_us_obj, time_sleep_us);

static mp_obj_t time_sleep_ms(mp_obj_t ms) {
    mp_hal_delay_ms(mp_obj_get_int(ms));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(time_sleep_ms_obj, time_sleep_ms);

static const mp_rom_map_elem_t time_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_time) },
    { MP_ROM_QSTR(MP_QSTR_ticks_us), MP_ROM_PTR(&time_ticks_us_obj) },
    { MP_ROM_QSTR(MP_QSTR_ticks_ms), MP_ROM_PTR(&time_ticks_ms_obj) },
    { MP_ROM_QSTR(MP_QSTR_ticks_diff), MP_ROM_PTR(&time_ticks_diff_obj) },
    { MP_ROM_QSTR(MP_QSTR_ticks_add), MP_ROM_PTR(&time_ticks_add_obj) },
    { MP_ROM_QSTR(MP_QSTR_sleep_us), MP_ROM_PTR(&time_sleep_us_obj) },
    { MP_ROM_QSTR(MP_QSTR_sleep_ms), MP_ROM_PTR(&time_sleep_ms_obj) },
};
static MP_DEFINE_CONST_DICT(time_dict, time_table);

const mp_obj_module_t time_module = {{&mp_type_module}, (mp_obj_dict_t *)&time_dict};
MP_REGISTER_MODULE(MP_QSTR_time, time_module);
