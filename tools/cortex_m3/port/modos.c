// os: the host's folder in which QEMU was started is the board's flash.

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "py/builtin.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "files.h"
#include "semihosting.h"

#define FOLDER  (0x4000)
#define FILE    (0x8000)
// Where the host's shell leaves what is in a folder. It is not shown itself.
#define LISTING ".listing"

static const char *path_of(mp_obj_t path_in) {
    const char *path = mp_obj_str_get_str(path_in);
    // The empty path is the folder itself, as on boards.
    return path[0] ? path : ".";
}

static mp_import_stat_t existing(const char *path) {
    mp_import_stat_t kind = mp_import_stat(path);
    if (kind == MP_IMPORT_STAT_NO_EXIST) {
        mp_raise_OSError(MP_ENOENT);
    }
    return kind;
}

// Semihosting knows no folders, so the host's shell makes and lists them.
static void shell(const char *format, const char *path) {
    char command[MICROPY_ALLOC_PATH_MAX];
    // In single quotes nothing but another one means anything to a shell.
    if (strchr(path, '\'') || strlen(format) + strlen(path) > sizeof(command)) {
        mp_raise_OSError(MP_EINVAL);
    }
    snprintf(command, sizeof(command), format, path);
    if (!semihosting_shell(command)) {
        mp_raise_OSError(MP_EIO);
    }
}

static mp_obj_t os_mkdir(mp_obj_t path_in) {
    const char *path = path_of(path_in);
    if (mp_import_stat(path) != MP_IMPORT_STAT_NO_EXIST) {
        mp_raise_OSError(MP_EEXIST);
    }
    const char *slash = strrchr(path, '/');
    if (slash && slash > path) {
        existing(mp_obj_str_get_str(mp_obj_new_str(path, slash - path)));
    }
    shell("mkdir '%s'", path);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(os_mkdir_obj, os_mkdir);

static void remove_if(const char *path, mp_import_stat_t kind, int otherwise) {
    if (existing(path) != kind) {
        mp_raise_OSError(otherwise);
    }
    if (!semihosting_remove(path)) {
        mp_raise_OSError(semihosting_errno());
    }
}

static mp_obj_t os_remove(mp_obj_t path) {
    remove_if(path_of(path), MP_IMPORT_STAT_FILE, MP_EISDIR);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(os_remove_obj, os_remove);

static mp_obj_t os_rmdir(mp_obj_t path) {
    remove_if(path_of(path), MP_IMPORT_STAT_DIR, MP_ENOTDIR);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(os_rmdir_obj, os_rmdir);

static mp_obj_t os_rename(mp_obj_t from, mp_obj_t to) {
    existing(path_of(from));
    if (!semihosting_rename(path_of(from), path_of(to))) {
        mp_raise_OSError(semihosting_errno());
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(os_rename_obj, os_rename);

// stat(path): ten numbers, of which the kind and the size are known.
static mp_obj_t os_stat(mp_obj_t path_in) {
    const char *path = path_of(path_in);
    mp_obj_t numbers[10] = {MP_OBJ_NEW_SMALL_INT(FOLDER)};
    for (size_t i = 1; i < MP_ARRAY_SIZE(numbers); i++) {
        numbers[i] = MP_OBJ_NEW_SMALL_INT(0);
    }
    if (existing(path) == MP_IMPORT_STAT_FILE) {
        int handle = files_open(path, OPEN_READ);
        numbers[0] = MP_OBJ_NEW_SMALL_INT(FILE);
        numbers[6] = MP_OBJ_NEW_SMALL_INT(semihosting_size(handle));
        semihosting_close(handle);
    }
    return mp_obj_new_tuple(MP_ARRAY_SIZE(numbers), numbers);
}
static MP_DEFINE_CONST_FUN_OBJ_1(os_stat_obj, os_stat);

// ilistdir(folder=""): name, kind, 0 and size of each entry.
static mp_obj_t os_ilistdir(size_t n, const mp_obj_t *arguments) {
    const char *path = n ? path_of(arguments[0]) : ".";
    if (existing(path) != MP_IMPORT_STAT_DIR) {
        mp_raise_OSError(MP_ENOTDIR);
    }
    shell("find '%s/' -mindepth 1 -maxdepth 1 ! -name " LISTING " -printf '%%Y %%s %%f\n' > " LISTING, path);
    int handle = files_open(LISTING, OPEN_READ);
    vstr_t text;
    vstr_init_len(&text, semihosting_size(handle));
    vstr_cut_tail_bytes(&text, text.len - semihosting_read(handle, text.buf, text.len));
    semihosting_close(handle);
    semihosting_remove(LISTING);

    mp_obj_t entries = mp_obj_new_list(0, NULL);
    for (char *line = text.buf, *end; (end = memchr(line, '\n', text.buf + text.len - line)); line = end + 1) {
        mp_uint_t size = 0;
        char *at = line + 2;
        for (; *at != ' '; at++) {
            size = 10 * size + *at - '0';
        }
        bool is_folder = line[0] == 'd';
        mp_obj_t entry[] = {
            mp_obj_new_str(at + 1, end - at - 1),
            MP_OBJ_NEW_SMALL_INT(is_folder ? FOLDER : FILE),
            MP_OBJ_NEW_SMALL_INT(0),
            MP_OBJ_NEW_SMALL_INT(is_folder ? 0 : size),
        };
        mp_obj_list_append(entries, mp_obj_new_tuple(MP_ARRAY_SIZE(entry), entry));
    }
    vstr_clear(&text);
    return mp_getiter(entries, NULL);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(os_ilistdir_obj, 0, 1, os_ilistdir);

static mp_obj_t os_getcwd(void) {
    return MP_OBJ_NEW_QSTR(MP_QSTR__dot_);
}
static MP_DEFINE_CONST_FUN_OBJ_0(os_getcwd_obj, os_getcwd);

// urandom(n): the host's, as the board has no source of its own.
static mp_obj_t os_urandom(mp_obj_t n) {
    vstr_t bytes;
    vstr_init_len(&bytes, mp_obj_get_int(n));
    int handle = files_open("/dev/urandom", OPEN_READ);
    size_t came = semihosting_read(handle, bytes.buf, bytes.len);
    semihosting_close(handle);
    if (came != bytes.len) {
        mp_raise_OSError(MP_EIO);
    }
    return mp_obj_new_bytes_from_vstr(&bytes);
}
static MP_DEFINE_CONST_FUN_OBJ_1(os_urandom_obj, os_urandom);

static const mp_rom_map_elem_t os_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_os) },
    { MP_ROM_QSTR(MP_QSTR_mkdir), MP_ROM_PTR(&os_mkdir_obj) },
    { MP_ROM_QSTR(MP_QSTR_remove), MP_ROM_PTR(&os_remove_obj) },
    { MP_ROM_QSTR(MP_QSTR_rmdir), MP_ROM_PTR(&os_rmdir_obj) },
    { MP_ROM_QSTR(MP_QSTR_rename), MP_ROM_PTR(&os_rename_obj) },
    { MP_ROM_QSTR(MP_QSTR_stat), MP_ROM_PTR(&os_stat_obj) },
    { MP_ROM_QSTR(MP_QSTR_ilistdir), MP_ROM_PTR(&os_ilistdir_obj) },
    { MP_ROM_QSTR(MP_QSTR_getcwd), MP_ROM_PTR(&os_getcwd_obj) },
    { MP_ROM_QSTR(MP_QSTR_urandom), MP_ROM_PTR(&os_urandom_obj) },
};
static MP_DEFINE_CONST_DICT(os_dict, os_table);

const mp_obj_module_t os_module = {{&mp_type_module}, (mp_obj_dict_t *)&os_dict};
MP_REGISTER_MODULE(MP_QSTR_os, os_module);
