// Files, which are the host's: what is imported, and what ``open`` gives.

#include <stdio.h>
#include <string.h>

#include "py/builtin.h"
#include "py/lexer.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "files.h"
#include "semihosting.h"

mp_import_stat_t mp_import_stat(const char *path) {
    // A folder can be opened like a file; only a folder holds ".".
    char inside[MICROPY_ALLOC_PATH_MAX + 3];
    if (strlen(path) > MICROPY_ALLOC_PATH_MAX) {
        return MP_IMPORT_STAT_NO_EXIST;
    }
    sprintf(inside, "%s/.", path);
    int handle = semihosting_open(inside, OPEN_READ);
    mp_import_stat_t kind = MP_IMPORT_STAT_DIR;
    if (handle < 0) {
        handle = semihosting_open(path, OPEN_READ);
        kind = MP_IMPORT_STAT_FILE;
    }
    if (handle < 0) {
        return MP_IMPORT_STAT_NO_EXIST;
    }
    semihosting_close(handle);
    return kind;
}

int files_open(const char *path, int mode) {
    if (mp_import_stat(path) == MP_IMPORT_STAT_DIR) {
        mp_raise_OSError_with_filename(MP_EISDIR, path);
    }
    int handle = semihosting_open(path, mode);
    if (handle < 0) {
        mp_raise_OSError_with_filename(semihosting_errno(), path);
    }
    return handle;
}

// ---- imports, read in small pieces as a board reads its flash --------------------------------

typedef struct {
    int handle;
    uint16_t at;
    uint16_t size;
    byte buffer[512];
} reader_t;

static mp_uint_t reader_readbyte(void *data) {
    reader_t *reader = data;
    if (reader->at == reader->size) {
        reader->at = 0;
        reader->size = semihosting_read(reader->handle, reader->buffer, sizeof(reader->buffer));
        if (reader->size == 0) {
            return MP_READER_EOF;
        }
    }
    return reader->buffer[reader->at++];
}

static void reader_close(void *data) {
    reader_t *reader = data;
    semihosting_close(reader->handle);
    m_del_obj(reader_t, reader);
}

void mp_reader_new_file(mp_reader_t *reader, qstr name) {
    reader_t *data = m_new_obj(reader_t);
    data->handle = files_open(qstr_str(name), OPEN_READ);
    data->at = data->size = 0;
    *reader = (mp_reader_t) {data, reader_readbyte, reader_close};
}

mp_lexer_t *mp_lexer_new_from_file(qstr name) {
    mp_reader_t reader;
    mp_reader_new_file(&reader, name);
    return mp_lexer_new(name, reader);
}

// ---- open -----------------------------------------------------------------------------------

#define CLOSED (-1)

typedef struct {
    mp_obj_base_t base;
    int handle;
} file_t;

static mp_uint_t file_read(mp_obj_t self, void *buffer, mp_uint_t size, int *error) {
    file_t *file = MP_OBJ_TO_PTR(self);
    if (file->handle == CLOSED) {
        *error = MP_EBADF;
        return MP_STREAM_ERROR;
    }
    return semihosting_read(file->handle, buffer, size);
}

static mp_uint_t file_write(mp_obj_t self, const void *buffer, mp_uint_t size, int *error) {
    file_t *file = MP_OBJ_TO_PTR(self);
    size_t written = file->handle == CLOSED ? 0 : semihosting_write(file->handle, buffer, size);
    if (written == 0 && size > 0) {
        *error = file->handle == CLOSED ? MP_EBADF : semihosting_errno();
        return MP_STREAM_ERROR;
    }
    return written;
}

static mp_uint_t file_ioctl(mp_obj_t self, mp_uint_t request, uintptr_t argument, int *error) {
    (void)argument;
    file_t *file = MP_OBJ_TO_PTR(self);
    if (request == MP_STREAM_CLOSE) {
        if (file->handle != CLOSED) {
            semihosting_close(file->handle);
        }
        file->handle = CLOSED;
        return 0;
    }
    if (request == MP_STREAM_FLUSH) {
        return 0;
    }
    *error = MP_EINVAL;
    return MP_STREAM_ERROR;
}

static const mp_rom_map_elem_t file_table[] = {
    { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mp_stream_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&mp_stream_readinto_obj) },
    { MP_ROM_QSTR(MP_QSTR_readline), MP_ROM_PTR(&mp_stream_unbuffered_readline_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&mp_stream_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_flush), MP_ROM_PTR(&mp_stream_flush_obj) },
    { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&mp_stream_close_obj) },
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&mp_stream_close_obj) },
    { MP_ROM_QSTR(MP_QSTR___enter__), MP_ROM_PTR(&mp_identity_obj) },
    { MP_ROM_QSTR(MP_QSTR___exit__), MP_ROM_PTR(&mp_stream___exit___obj) },
};
static MP_DEFINE_CONST_DICT(file_dict, file_table);

static const mp_stream_p_t text_protocol = {file_read, file_write, file_ioctl, .is_text = true};
static const mp_stream_p_t bytes_protocol = {file_read, file_write, file_ioctl};

static MP_DEFINE_CONST_OBJ_TYPE(text_type, MP_QSTR_TextIOWrapper, MP_TYPE_FLAG_ITER_IS_STREAM,
    protocol, &text_protocol, locals_dict, &file_dict);
static MP_DEFINE_CONST_OBJ_TYPE(bytes_type, MP_QSTR_FileIO, MP_TYPE_FLAG_ITER_IS_STREAM,
    protocol, &bytes_protocol, locals_dict, &file_dict);

// open(path, mode="r", encoding=None): the mode is "r", "w" or "a", and "b" or "t" behind it; text is UTF-8.
static mp_obj_t files_builtin_open(size_t n, const mp_obj_t *positional, mp_map_t *named) {
    static const mp_arg_t wanted[] = {
        { MP_QSTR_file, MP_ARG_REQUIRED | MP_ARG_OBJ, {.u_obj = MP_OBJ_NULL} },
        { MP_QSTR_mode, MP_ARG_OBJ, {.u_obj = MP_OBJ_NEW_QSTR(MP_QSTR_r)} },
        { MP_QSTR_encoding, MP_ARG_OBJ, {.u_obj = mp_const_none} },
    };
    mp_arg_val_t arguments[MP_ARRAY_SIZE(wanted)];
    mp_arg_parse_all(n, positional, named, MP_ARRAY_SIZE(wanted), wanted, arguments);
    const char *mode = mp_obj_str_get_str(arguments[1].u_obj);
    bool binary = mode[0] && strcmp(mode + 1, "b") == 0;
    int how = mode[0] == 'r' ? OPEN_READ : mode[0] == 'w' ? OPEN_WRITE : mode[0] == 'a' ? OPEN_APPEND : 0;
    if (!how || (mode[1] && !binary && strcmp(mode + 1, "t") != 0)) {
        mp_raise_ValueError(MP_ERROR_TEXT("no such mode"));
    }
    file_t *file = mp_obj_malloc_with_finaliser(file_t, binary ? &bytes_type : &text_type);
    file->handle = CLOSED;
    file->handle = files_open(mp_obj_str_get_str(arguments[0].u_obj), how);
    if (how == OPEN_APPEND) {
        semihosting_seek_end(file->handle);
    }
    return MP_OBJ_FROM_PTR(file);
}
MP_DEFINE_CONST_FUN_OBJ_KW(mp_builtin_open_obj, 1, files_builtin_open);
