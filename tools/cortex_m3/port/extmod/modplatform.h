// py/modsys.c and shared/runtime/pyexec.c include this header, which the source distribution leaves out. They need
// nothing of it here.
