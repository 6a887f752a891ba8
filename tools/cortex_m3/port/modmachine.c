// machine: what a tool asks of a board.

#include "py/runtime.h"
#include "semihosting.h"

// How an emulator ends that was asked for a reset; whoever started it starts it again.
#define RESET_STATUS (75)

static mp_obj_t machine_reset(void) {
    semihosting_exit(RESET_STATUS);
}
static MP_DEFINE_CONST_FUN_OBJ_0(machine_reset_obj, machine_reset);

static const mp_rom_map_elem_t machine_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_machine) },
    { MP_ROM_QSTR(MP_QSTR_reset), MP_ROM_PTR(&machine_reset_obj) },
};
static MP_DEFINE_CONST_DICT(machine_dict, machine_table);

const mp_obj_module_t machine_module = {{&mp_type_module}, (mp_obj_dict_t *)&machine_dict};
MP_REGISTER_MODULE(MP_QSTR_machine, machine_module);
