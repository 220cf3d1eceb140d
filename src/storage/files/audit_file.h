#pragma once

#include <stdint.h>
#include <stdio.h>
#include "util/err.h"

/* Files below audit/, with what should be remembered and is no event of the database: a line of
 * JSON for each entry. A file that has AUDIT_FILE_MAX bytes is renamed to <name>.1, and replaces
 * the former one: so each name takes twice that room at most, and the oldest entries go. An entry
 * is written at once, but not synced: a power loss may take the last ones. */

#define AUDIT_FILE_LOGINS "audit/logins"     /* wrong passwords */
#define AUDIT_FILE_COMMANDS "audit/commands" /* commands that cause no events */
#define AUDIT_FILE_MAX (4u << 20)

#define AUDIT_FILE_TEXT 129
struct audit_line {
    uint64_t time;               /* clock_wall_ms() */
    char what[AUDIT_FILE_TEXT];  /* "login-failed", "restore" */
    char user[AUDIT_FILE_TEXT];  /* any bytes; those that are no UTF-8 become '?' */
    char about[AUDIT_FILE_TEXT]; /* the client's address, or what the command was about */
    uint64_t times;              /* how often; 0 and 1: once */
};

int audit_file_append(int dirfd, const char *name, const struct audit_line *line, struct err *err);

/* Reads the entries of a file, the oldest first. All zero is a reader at its end. */
struct audit_reader {
    int dirfd;
    const char *name;
    int part; /* 1: <name>.1 is open; 0: <name>; -1: the end */
    FILE *file;
};

void audit_file_open(struct audit_reader *r, int dirfd, const char *name);
/* 1: the next entry; 0: there is none. What is no entry is passed over. */
int audit_file_next(struct audit_reader *r, struct audit_line *line);
void audit_file_close(struct audit_reader *r);
