// hashlib.sha256 (FIPS 180-4), and binascii.hexlify, which shows what it gives.

#include <string.h>

#include "py/objstr.h"
#include "py/runtime.h"

#define BLOCK (64)
#define DIGEST (32)

typedef struct {
    mp_obj_base_t base;
    uint32_t state[8];
    uint64_t size;
    uint8_t block[BLOCK];
} sha256_t;

// The first 32 bits of the square roots' fractions of the first 8 primes.
static const uint32_t initial[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

// The same of the cube roots of the first 64 primes.
static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t turned(uint32_t word, int bits) {
    return word >> bits | word << (32 - bits);
}

static void compress(sha256_t *sha) {
    uint32_t w[64];
    for (int t = 0; t < 64; t++) {
        if (t < 16) {
            const uint8_t *at = sha->block + 4 * t;
            w[t] = (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
        } else {
            uint32_t s0 = turned(w[t - 15], 7) ^ turned(w[t - 15], 18) ^ w[t - 15] >> 3;
            uint32_t s1 = turned(w[t - 2], 17) ^ turned(w[t - 2], 19) ^ w[t - 2] >> 10;
            w[t] = s1 + w[t - 7] + s0 + w[t - 16];
        }
    }
    uint32_t v[8];
    memcpy(v, sha->state, sizeof(v));
    for (int t = 0; t < 64; t++) {
        uint32_t a = v[0], e = v[4];
        uint32_t chosen = (e & v[5]) ^ (~e & v[6]);
        uint32_t majority = (a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]);
        uint32_t t1 = v[7] + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + chosen + constants[t] + w[t];
        uint32_t t2 = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + majority;
        memmove(v + 1, v, 7 * sizeof(v[0]));
        v[0] = t1 + t2;
        v[4] += t1;
    }
    for (int i = 0; i < 8; i++) {
        sha->state[i] += v[i];
    }
}

static void feed(sha256_t *sha, const uint8_t *data, size_t size) {
    while (size > 0) {
        size_t at = sha->size % BLOCK;
        size_t part = MIN(size, BLOCK - at);
        memcpy(sha->block + at, data, part);
        sha->size += part;
        data += part;
        size -= part;
        if (at + part == BLOCK) {
            compress(sha);
        }
    }
}

static mp_obj_t sha256_update(mp_obj_t self, mp_obj_t data) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(data, &buffer, MP_BUFFER_READ);
    feed(MP_OBJ_TO_PTR(self), buffer.buf, buffer.len);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(sha256_update_obj, sha256_update);

static mp_obj_t sha256_digest(mp_obj_t self) {
    // More may follow, so a copy is ended.
    sha256_t sha = *(sha256_t *)MP_OBJ_TO_PTR(self);
    uint64_t bits = 8 * sha.size;
    static const uint8_t padding[BLOCK] = {0x80};
    feed(&sha, padding, 1 + (2 * BLOCK - 9 - sha.size % BLOCK) % BLOCK);
    uint8_t big_endian[8];
    for (int i = 0; i < 8; i++) {
        big_endian[i] = bits >> (56 - 8 * i);
    }
    feed(&sha, big_endian, sizeof(big_endian));
    uint8_t digest[DIGEST];
    for (int i = 0; i < DIGEST; i++) {
        digest[i] = sha.state[i / 4] >> (24 - 8 * (i % 4));
    }
    return mp_obj_new_bytes(digest, sizeof(digest));
}
static MP_DEFINE_CONST_FUN_OBJ_1(sha256_digest_obj, sha256_digest);

static mp_obj_t sha256_make_new(const mp_obj_type_t *type, size_t n, size_t n_named, const mp_obj_t *arguments) {
    mp_arg_check_num(n, n_named, 0, 1, false);
    sha256_t *sha = mp_obj_malloc(sha256_t, type);
    memcpy(sha->state, initial, sizeof(initial));
    sha->size = 0;
    if (n) {
        sha256_update(MP_OBJ_FROM_PTR(sha), arguments[0]);
    }
    return MP_OBJ_FROM_PTR(sha);
}

static const mp_rom_map_elem_t sha256_table[] = {
    { MP_ROM_QSTR(MP_QSTR_update), MP_ROM_PTR(&sha256_update_obj) },
    { MP_ROM_QSTR(MP_QSTR_digest), MP_ROM_PTR(&sha256_digest_obj) },
};
static MP_DEFINE_CONST_DICT(sha256_dict, sha256_table);

static MP_DEFINE_CONST_OBJ_TYPE(sha256_type, MP_QSTR_sha256, MP_TYPE_FLAG_NONE,
    make_new, sha256_make_new, locals_dict, &sha256_dict);

static const mp_rom_map_elem_t hashlib_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_hashlib) },
    { MP_ROM_QSTR(MP_QSTR_sha256), MP_ROM_PTR(&sha256_type) },
};
static MP_DEFINE_CONST_DICT(hashlib_dict, hashlib_table);

const mp_obj_module_t hashlib_module = {{&mp_type_module}, (mp_obj_dict_t *)&hashlib_dict};
MP_REGISTER_MODULE(MP_QSTR_hashlib, hashlib_module);

static mp_obj_t binascii_hexlify(mp_obj_t data) {
    return mp_obj_bytes_hex(1, &data, &mp_type_bytes);
}
static MP_DEFINE_CONST_FUN_OBJ_1(binascii_hexlify_obj, binascii_hexlify);

static const mp_rom_map_elem_t binascii_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_binascii) },
    { MP_ROM_QSTR(MP_QSTR_hexlify), MP_ROM_PTR(&binascii_hexlify_obj) },
};
static MP_DEFINE_CONST_DICT(binascii_dict, binascii_table);

const mp_obj_module_t binascii_module = {{&mp_type_module}, (mp_obj_dict_t *)&binascii_dict};
MP_REGISTER_MODULE(MP_QSTR_binascii, binascii_module);
