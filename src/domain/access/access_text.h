#pragma once

#include <stdbool.h>
#include "util/bytes.h"
#include "util/err.h"

/* The lines of the files auth/access and auth/groups: words with blanks or tabs between them. Empty
 * lines don't count, nor do lines that begin with #. */

struct access_text {
    const char *name; /* of the file, for messages */
    struct bytes rest;
    unsigned line; /* the number of the last line that was read */
};

/* The next line that counts, without its end. False at the end of the file. */
bool access_text_next(struct access_text *t, struct bytes *line);
/* Cuts the first word off the line. False: there is none. */
bool access_text_word(struct bytes *line, struct bytes *word);

/* Fills err with ERR_BAD_REQUEST and "NAME:LINE: " in front of the text. Returns -1. */
int access_text_refuse(const struct access_text *t, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Checks a word that names a user: as the password file does, and for what is probably meant to be
 * something else. 0, or -1 as above. */
int access_text_check_user(const struct access_text *t, struct bytes word, struct err *err);

/* A word in a message: in quotes, and cut when it is very long. */
#define ACCESS_WORD "\"%.*s\""
#define ACCESS_WORD_ARGS(word) (int)((word).n < 80 ? (word).n : 80), (const char *)(word).p

/* Words with a meaning of their own. */
#define ACCESS_ANONYMOUS "anonymous"
#define ACCESS_EVERY_USER "*"
#define ACCESS_SAME_USER "{user}"
