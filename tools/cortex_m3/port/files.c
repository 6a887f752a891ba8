// Imports from the host's files, read in small pieces as a board reads its flash.

#include <stdio.h>
#include <string.h>

#include "py/builtin.h"
#include "py/lexer.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "semihosting.h"

typedef struct {
    int handle;
    uint16_t at;
    uint16_t size;
    byte buffer[512];
} file_t;

static mp_uint_t file_readbyte(void *data) {
    file_t *file = data;
    if (file->at == file->size) {
        file->at = 0;
        file->size = semihosting_read(file->handle, file->buffer, sizeof(file->buffer));
        if (file->size == 0) {
            return MP_READER_EOF;
        }
    }
    return file->buffer[file->at++];
}

static void file_close(void *data) {
    file_t *file = data;
    semihosting_close(file->handle);
    m_del_obj(file_t, file);
}

mp_lexer_t *mp_lexer_new_from_file(qstr name) {
    int handle = semihosting_open(qstr_str(name));
    if (handle < 0) {
        mp_raise_OSError_with_filename(MP_ENOENT, qstr_str(name));
    }
    file_t *file = m_new_obj(file_t);
    file->handle = handle;
    file->at = file->size = 0;
    mp_reader_t reader = {file, file_readbyte, file_close};
    return mp_lexer_new(name, reader);
}

mp_import_stat_t mp_import_stat(const char *path) {
    // A directory can be opened like a file; only a directory holds ".".
    char inside[MICROPY_ALLOC_PATH_MAX + 3];
    size_t size = strlen(path);
    if (size > MICROPY_ALLOC_PATH_MAX) {
        return MP_IMPORT_STAT_NO_EXIST;
    }
    memcpy(inside, path, size);
    strcpy(inside + size, "/.");
    int handle = semihosting_open(inside);
    mp_import_stat_t kind = MP_IMPORT_STAT_DIR;
    if (handle < 0) {
        handle = semihosting_open(path);
        kind = MP_IMPORT_STAT_FILE;
    }
    if (handle < 0) {
        return MP_IMPORT_STAT_NO_EXIST;
    }
    semihosting_close(handle);
    return kind;
}
