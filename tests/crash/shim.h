#pragma once

#include <stdint.h>

/* Shared by the shim (shim.c) and the programs that steer it. */

/* Faults. The file that CRASH_SHIM names is mapped: SHIM_RULES of these, which may be changed while
 * the program runs. tests/lib/Registry/Shim.pm writes the same bytes. */
#define SHIM_RULES 32

/* A rule whose call is "clock" puts the clock of the program ahead by `skip` milliseconds. */
struct shim_rule {
    char call[16];  /* the system call, "fdatasync" for example; "" : no rule */
    char path[80];  /* only files whose path contains this; "" : all */
    int64_t skip;   /* calls that succeed before */
    int64_t times;  /* calls that fail then; negative: all */
    int32_t error;  /* the errno */
    int32_t later;  /* not before the first note of the program (shim_note) */
    int64_t seen;   /* calls that the rule fits so far */
    int64_t failed; /* of these */
};

/* The record. The file that CRASH_RECORD names gets one of these for each change below the
 * directory that CRASH_ROOT names, followed by name_n bytes of the name (relative to that
 * directory) and data_n bytes. All of them are made by one thread of one process. */
enum shim_op {
    SHIM_CREATE = 1, /* a new file or directory (size: S_IFMT and mode), perhaps without a name */
    SHIM_WRITE,      /* data, at `at` */
    SHIM_TRUNCATE,   /* to the size `at` */
    SHIM_GROW,       /* to the size `at` at least */
    SHIM_MODE,       /* `at` */
    SHIM_LINK,       /* name now leads to the file, too */
    SHIM_UNLINK,     /* name */
    SHIM_RENAME,     /* name to data */
    SHIM_SYNC,       /* the file, or the directory */
    SHIM_NOTE,       /* of the program itself: data */
};

struct shim_event {
    uint32_t op;
    uint32_t name_n;
    uint64_t file; /* the number of the inode */
    uint64_t at;
    uint64_t data_n;
};

/* Puts a SHIM_NOTE. A program finds it by dlsym; without the shim there is none. */
void shim_note(const char *text);
