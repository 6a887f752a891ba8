// The host's files.

// Returns the handle of a file, opened as semihosting.h says. Raises OSError.
int files_open(const char *path, int mode);
