// json: reads RFC 8259 and nothing else; what is no such text is a ValueError.

#include <string.h>

#include "py/objlist.h"
#include "py/parsenum.h"
#include "py/runtime.h"

// Nothing of ours is nested as deep, and the stack bears it.
#define DEEPEST (20)

typedef struct {
    const char *at;
    const char *end;
    int depth;
} text_t;

static mp_obj_t read_value(text_t *text);

__attribute__((noreturn)) static void refuse(void) {
    mp_raise_ValueError(MP_ERROR_TEXT("syntax error in JSON"));
}

// The next character, or 0 at the end, where no JSON has one.
static char peek(const text_t *text) {
    return text->at < text->end ? *text->at : 0;
}

static bool take(text_t *text, char wanted) {
    if (peek(text) != wanted) {
        return false;
    }
    text->at++;
    return true;
}

static void expect(text_t *text, const char *wanted) {
    for (; *wanted; wanted++) {
        if (!take(text, *wanted)) {
            refuse();
        }
    }
}

static void skip_blanks(text_t *text) {
    while (text->at < text->end && strchr(" \t\n\r", *text->at) && *text->at) {
        text->at++;
    }
}

static mp_uint_t read_hexadecimal(text_t *text) {
    mp_uint_t value = 0;
    for (int i = 0; i < 4; i++, text->at++) {
        if (!unichar_isxdigit((uint8_t)peek(text))) {
            refuse();
        }
        value = value << 4 | unichar_xdigit_value(*text->at);
    }
    return value;
}

static mp_uint_t read_escape(text_t *text) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char letter = peek(text);
    const char *found = letter ? strchr(letters, letter) : NULL;
    if (found) {
        text->at++;
        return meanings[found - letters];
    }
    expect(text, "u");
    mp_uint_t value = read_hexadecimal(text);
    if (value >> 11 != 0xD800 >> 11) {
        return value;
    }
    // What 16 bits do not hold comes as two surrogates.
    expect(text, "\\u");
    mp_uint_t low = read_hexadecimal(text);
    if (value >> 10 != 0xD800 >> 10 || low >> 10 != 0xDC00 >> 10) {
        refuse();
    }
    return 0x10000 + ((value & 0x3FF) << 10 | (low & 0x3FF));
}

static mp_obj_t read_string(text_t *text) {
    expect(text, "\"");
    vstr_t string;
    vstr_init(&string, 16);
    while (!take(text, '"')) {
        if ((uint8_t)peek(text) < ' ') {
            refuse();
        }
        if (take(text, '\\')) {
            vstr_add_char(&string, read_escape(text));
        } else {
            vstr_add_byte(&string, *text->at++);
        }
    }
    return mp_obj_new_str_from_vstr(&string);
}

static void skip_digits(text_t *text) {
    const char *begin = text->at;
    while (unichar_isdigit((uint8_t)peek(text))) {
        text->at++;
    }
    if (text->at == begin) {
        refuse();
    }
}

static mp_obj_t read_number(text_t *text) {
    const char *begin = text->at;
    take(text, '-');
    if (!take(text, '0')) {
        skip_digits(text);
    }
    bool whole = true;
    if (take(text, '.')) {
        skip_digits(text);
        whole = false;
    }
    if (take(text, 'e') || take(text, 'E')) {
        if (!take(text, '+')) {
            take(text, '-');
        }
        skip_digits(text);
        whole = false;
    }
    size_t size = text->at - begin;
    return whole ? mp_parse_num_integer(begin, size, 10, NULL) : mp_parse_num_float(begin, size, false, NULL);
}

static mp_obj_t read_array(text_t *text) {
    mp_obj_t list = mp_obj_new_list(0, NULL);
    skip_blanks(text);
    if (take(text, ']')) {
        return list;
    }
    do {
        mp_obj_list_append(list, read_value(text));
    } while (take(text, ','));
    expect(text, "]");
    return list;
}

static mp_obj_t read_object(text_t *text) {
    mp_obj_t dict = mp_obj_new_dict(0);
    skip_blanks(text);
    if (take(text, '}')) {
        return dict;
    }
    do {
        skip_blanks(text);
        mp_obj_t key = read_string(text);
        skip_blanks(text);
        expect(text, ":");
        mp_obj_dict_store(dict, key, read_value(text));
    } while (take(text, ','));
    expect(text, "}");
    return dict;
}

static mp_obj_t read_bare(text_t *text) {
    switch (peek(text)) {
        case '"':
            return read_string(text);
        case 't':
            expect(text, "true");
            return mp_const_true;
        case 'f':
            expect(text, "false");
            return mp_const_false;
        case 'n':
            expect(text, "null");
            return mp_const_none;
        default:
            return read_number(text);
    }
}

// With the blanks around it.
static mp_obj_t read_value(text_t *text) {
    if (text->depth == DEEPEST) {
        refuse();
    }
    text->depth++;
    skip_blanks(text);
    mp_obj_t value = take(text, '{') ? read_object(text) : take(text, '[') ? read_array(text) : read_bare(text);
    skip_blanks(text);
    text->depth--;
    return value;
}

static mp_obj_t json_loads(mp_obj_t source) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(source, &buffer, MP_BUFFER_READ);
    text_t text = {buffer.buf, (const char *)buffer.buf + buffer.len, 0};
    mp_obj_t value = read_value(&text);
    if (text.at != text.end) {
        refuse();
    }
    return value;
}
static MP_DEFINE_CONST_FUN_OBJ_1(json_loads_obj, json_loads);

static mp_obj_t json_load(mp_obj_t stream) {
    mp_obj_t method[2];
    mp_load_method(stream, MP_QSTR_read, method);
    return json_loads(mp_call_method_n_kw(0, 0, method));
}
static MP_DEFINE_CONST_FUN_OBJ_1(json_load_obj, json_load);

static mp_obj_t json_dumps(mp_obj_t value) {
    vstr_t text;
    mp_print_t print;
    vstr_init_print(&text, 64, &print);
    mp_obj_print_helper(&print, value, PRINT_JSON);
    return mp_obj_new_str_from_utf8_vstr(&text);
}
static MP_DEFINE_CONST_FUN_OBJ_1(json_dumps_obj, json_dumps);

static const mp_rom_map_elem_t json_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_json) },
    { MP_ROM_QSTR(MP_QSTR_load), MP_ROM_PTR(&json_load_obj) },
    { MP_ROM_QSTR(MP_QSTR_loads), MP_ROM_PTR(&json_loads_obj) },
    { MP_ROM_QSTR(MP_QSTR_dumps), MP_ROM_PTR(&json_dumps_obj) },
};
static MP_DEFINE_CONST_DICT(json_dict, json_table);

const mp_obj_module_t json_module = {{&mp_type_module}, (mp_obj_dict_t *)&json_dict};
MP_REGISTER_MODULE(MP_QSTR_json, json_module);
