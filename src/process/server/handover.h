#pragma once

#include <stddef.h>
#include <sys/types.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* A server hands named descriptors and texts to the program that takes its place by exec, in the
 * same process. They are records in a file without a name, whose descriptor is in the environment.
 * A name may have several records; a program ignores those that it doesn't know, since it may be of
 * another version. */
struct handover {
    struct buf text;
};

/* The record with the values of options_change_keep. */
#define HANDOVER_OPTIONS "options"

/* ---- the giving side ---- */

void handover_begin(struct handover *h);
void handover_free(struct handover *h);
/* fd < 0: nothing is handed over. note: belongs to the record. */
void handover_put(struct handover *h, const char *name, int fd, const char *note);
/* note: n bytes, which may contain NULs. */
void handover_put_text(struct handover *h, const char *name, struct bytes note);

/* Executes the program, which gets the descriptors of the records and no others but 0, 1 and 2.
 * Returns -1 after a failure; then nothing has changed. */
int handover_exec(struct handover *h, int program, char **argv, struct err *err);

/* ---- the taking side ---- */

/* 1: this program has taken over. 0: it was started as usual. -1: it was, but can't read what it
 * got. Whatever happens, the programs that it starts don't get the descriptors. */
int handover_take(struct handover *h, struct err *err);

/* Number i of the records of that name: the descriptor, or -1. *note: its note, which ends with a
 * NUL. */
int handover_get(const struct handover *h, const char *name, size_t i, struct bytes *note);
/* The same for texts: false, if there is none. */
bool handover_get_text(const struct handover *h, const char *name, size_t i, struct bytes *note);
