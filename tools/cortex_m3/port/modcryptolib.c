// cryptolib.aes(key, 1).encrypt(in[, out]): AES-128 (FIPS 197) block by block, as much of it as the firmware asks for.

#include <string.h>

#include "py/runtime.h"

#define BLOCK  (16)
#define ROUNDS (10)
#define ECB    (1)

typedef struct {
    mp_obj_base_t base;
    uint8_t keys[ROUNDS + 1][BLOCK];
} aes_t;

static const uint8_t s_box[256] = {
    0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5, 0x30, 0x01, 0x67, 0x2b, 0xfe, 0xd7, 0xab, 0x76,
    0xca, 0x82, 0xc9, 0x7d, 0xfa, 0x59, 0x47, 0xf0, 0xad, 0xd4, 0xa2, 0xaf, 0x9c, 0xa4, 0x72, 0xc0,
    0xb7, 0xfd, 0x93, 0x26, 0x36, 0x3f, 0xf7, 0xcc, 0x34, 0xa5, 0xe5, 0xf1, 0x71, 0xd8, 0x31, 0x15,
    0x04, 0xc7, 0x23, 0xc3, 0x18, 0x96, 0x05, 0x9a, 0x07, 0x12, 0x80, 0xe2, 0xeb, 0x27, 0xb2, 0x75,
    0x09, 0x83, 0x2c, 0x1a, 0x1b, 0x6e, 0x5a, 0xa0, 0x52, 0x3b, 0xd6, 0xb3, 0x29, 0xe3, 0x2f, 0x84,
    0x53, 0xd1, 0x00, 0xed, 0x20, 0xfc, 0xb1, 0x5b, 0x6a, 0xcb, 0xbe, 0x39, 0x4a, 0x4c, 0x58, 0xcf,
    0xd0, 0xef, 0xaa, 0xfb, 0x43, 0x4d, 0x33, 0x85, 0x45, 0xf9, 0x02, 0x7f, 0x50, 0x3c, 0x9f, 0xa8,
    0x51, 0xa3, 0x40, 0x8f, 0x92, 0x9d, 0x38, 0xf5, 0xbc, 0xb6, 0xda, 0x21, 0x10, 0xff, 0xf3, 0xd2,
    0xcd, 0x0c, 0x13, 0xec, 0x5f, 0x97, 0x44, 0x17, 0xc4, 0xa7, 0x7e, 0x3d, 0x64, 0x5d, 0x19, 0x73,
    0x60, 0x81, 0x4f, 0xdc, 0x22, 0x2a, 0x90, 0x88, 0x46, 0xee, 0xb8, 0x14, 0xde, 0x5e, 0x0b, 0xdb,
    0xe0, 0x32, 0x3a, 0x0a, 0x49, 0x06, 0x24, 0x5c, 0xc2, 0xd3, 0xac, 0x62, 0x91, 0x95, 0xe4, 0x79,
    0xe7, 0xc8, 0x37, 0x6d, 0x8d, 0xd5, 0x4e, 0xa9, 0x6c, 0x56, 0xf4, 0xea, 0x65, 0x7a, 0xae, 0x08,
    0xba, 0x78, 0x25, 0x2e, 0x1c, 0xa6, 0xb4, 0xc6, 0xe8, 0xdd, 0x74, 0x1f, 0x4b, 0xbd, 0x8b, 0x8a,
    0x70, 0x3e, 0xb5, 0x66, 0x48, 0x03, 0xf6, 0x0e, 0x61, 0x35, 0x57, 0xb9, 0x86, 0xc1, 0x1d, 0x9e,
    0xe1, 0xf8, 0x98, 0x11, 0x69, 0xd9, 0x8e, 0x94, 0x9b, 0x1e, 0x87, 0xe9, 0xce, 0x55, 0x28, 0xdf,
    0x8c, 0xa1, 0x89, 0x0d, 0xbf, 0xe6, 0x42, 0x68, 0x41, 0x99, 0x2d, 0x0f, 0xb0, 0x54, 0xbb, 0x16,
};

// Times x in the field of 2^8, without a branch that would tell of the key by its time.
static uint8_t doubled(uint8_t byte) {
    return byte << 1 ^ (0x1b & -(byte >> 7));
}

static void expand(aes_t *aes, const uint8_t *key) {
    memcpy(aes->keys[0], key, BLOCK);
    uint8_t constant = 1;
    for (uint8_t *at = aes->keys[1]; at < aes->keys[ROUNDS + 1]; at += 4) {
        bool is_first = (at - aes->keys[0]) % BLOCK == 0;
        for (int i = 0; i < 4; i++) {
            uint8_t byte = is_first ? s_box[at[(i + 1) % 4 - 4]] : at[i - 4];
            at[i] = at[i - BLOCK] ^ byte ^ (is_first && i == 0 ? constant : 0);
        }
        if (is_first) {
            constant = doubled(constant);
        }
    }
}

static void add(uint8_t *state, const uint8_t *key) {
    for (int i = 0; i < BLOCK; i++) {
        state[i] ^= key[i];
    }
}

static void encrypt(const aes_t *aes, const uint8_t *in, uint8_t *out) {
    uint8_t state[BLOCK];
    memcpy(state, in, BLOCK);
    add(state, aes->keys[0]);
    for (int round = 1; round <= ROUNDS; round++) {
        // Bytes are substituted, and row i is shifted by i columns; columns stand one behind the other.
        uint8_t shifted[BLOCK];
        for (int i = 0; i < BLOCK; i++) {
            shifted[i] = s_box[state[(5 * i) % BLOCK]];
        }
        memcpy(state, shifted, BLOCK);
        if (round < ROUNDS) {
            for (uint8_t *column = state; column < state + BLOCK; column += 4) {
                uint8_t first = column[0], all = column[0] ^ column[1] ^ column[2] ^ column[3];
                for (int i = 0; i < 4; i++) {
                    column[i] ^= all ^ doubled(column[i] ^ (i < 3 ? column[i + 1] : first));
                }
            }
        }
        add(state, aes->keys[round]);
    }
    memcpy(out, state, BLOCK);
}

static mp_obj_t aes_make_new(const mp_obj_type_t *type, size_t n, size_t n_named, const mp_obj_t *arguments) {
    mp_arg_check_num(n, n_named, 2, 2, false);
    mp_buffer_info_t key;
    mp_get_buffer_raise(arguments[0], &key, MP_BUFFER_READ);
    if (key.len != BLOCK || mp_obj_get_int(arguments[1]) != ECB) {
        mp_raise_ValueError(MP_ERROR_TEXT("AES-128 in ECB mode only"));
    }
    aes_t *aes = mp_obj_malloc(aes_t, type);
    expand(aes, key.buf);
    return MP_OBJ_FROM_PTR(aes);
}

static mp_obj_t aes_encrypt(size_t n, const mp_obj_t *arguments) {
    const aes_t *aes = MP_OBJ_TO_PTR(arguments[0]);
    mp_buffer_info_t in, out;
    mp_get_buffer_raise(arguments[1], &in, MP_BUFFER_READ);
    mp_obj_t result = n > 2 ? arguments[2] : mp_obj_new_bytearray(in.len, in.buf);
    mp_get_buffer_raise(result, &out, MP_BUFFER_WRITE);
    if (in.len % BLOCK || out.len < in.len) {
        mp_raise_ValueError(MP_ERROR_TEXT("blocks of 16 bytes, and as many to write to"));
    }
    for (size_t at = 0; at < in.len; at += BLOCK) {
        encrypt(aes, (const uint8_t *)in.buf + at, (uint8_t *)out.buf + at);
    }
    return result;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(aes_encrypt_obj, 2, 3, aes_encrypt);

static const mp_rom_map_elem_t aes_table[] = {
    { MP_ROM_QSTR(MP_QSTR_encrypt), MP_ROM_PTR(&aes_encrypt_obj) },
};
static MP_DEFINE_CONST_DICT(aes_dict, aes_table);

static MP_DEFINE_CONST_OBJ_TYPE(aes_type, MP_QSTR_aes, MP_TYPE_FLAG_NONE,
    make_new, aes_make_new, locals_dict, &aes_dict);

static const mp_rom_map_elem_t cryptolib_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_cryptolib) },
    { MP_ROM_QSTR(MP_QSTR_aes), MP_ROM_PTR(&aes_type) },
};
static MP_DEFINE_CONST_DICT(cryptolib_dict, cryptolib_table);

const mp_obj_module_t cryptolib_module = {{&mp_type_module}, (mp_obj_dict_t *)&cryptolib_dict};
MP_REGISTER_MODULE(MP_QSTR_cryptolib, cryptolib_module);
