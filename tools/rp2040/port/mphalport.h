// Without a type of pin here, py/mphal.h asks for a header of extmod/.
#define mp_hal_pin_obj_t int

void mp_hal_set_interrupt_char(int c);
