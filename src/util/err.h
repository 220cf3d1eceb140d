#ifndef UTIL_ERR_H
#define UTIL_ERR_H

#include <stddef.h>

/* What can go wrong, in the registry's own terms. Floors above util return these and know no
 * HTTP status; protocol/http/reply_error.c is the one place that turns a code into an answer. */
enum err_code {
    ERR_NONE = 0,

    /* the machine */
    ERR_SYSTEM,   /* a system call or a library failed, and nothing below says it better */
    ERR_NO_SPACE, /* ENOSPC, EDQUOT: works again once there is room */
    ERR_BUSY,     /* try again in a moment: recovery, too many conflicts */
    ERR_CORRUPT,  /* what we stored ourselves cannot be read */

    /* what a stranger sent */
    ERR_BAD_REQUEST,     /* the request itself: path, escapes, query, headers */
    ERR_BAD_NAME,        /* no repository name */
    ERR_BAD_TAG,         /* no tag name */
    ERR_BAD_DIGEST,      /* no digest, or of an unknown algorithm */
    ERR_DIGEST_MISMATCH, /* the bytes are not those that the digest names */
    ERR_BAD_SIZE,        /* length missing, wrong, or other than announced */
    ERR_BAD_RANGE,       /* a chunk that doesn't continue the upload */
    ERR_BAD_EXTENT,      /* none of the bytes that are asked for are there */
    ERR_BAD_MANIFEST,    /* no manifest that we accept */
    ERR_BAD_IMAGE,       /* no v1 image that we accept */
    ERR_TOO_LARGE,       /* over a bound on bytes */
    ERR_TOO_LONG,        /* over a bound on what one query may name */
    ERR_IN_USE,          /* something still needs it */
    ERR_EXISTS,          /* it is there already, and is never changed */
    ERR_TOO_MANY,        /* over a bound on how many at once; later is fine */
    ERR_FULL,            /* over a bound on how many there may be: something has to go first */

    /* what isn't there */
    ERR_NO_ROUTE,
    ERR_NO_METHOD,
    ERR_NO_REPOSITORY,
    ERR_NO_MANIFEST,
    ERR_NO_BLOB,
    ERR_NO_UPLOAD,
    ERR_NO_IMAGE,
    ERR_NOT_CONVERTED, /* a v1 image, and as yet there is no manifest of it */
    ERR_UNCONVERTIBLE, /* a v1 image of which none can be made; `found` says why */
    ERR_MISSING_PARTS, /* a manifest refers to what the repository doesn't have */

    /* inside of images */
    ERR_NO_FILE,       /* no such path, or nothing that can be read there */
    ERR_NOT_BROWSABLE, /* a layer that can't be looked into, or not there; the message says why */

    /* rights */
    ERR_UNAUTHORIZED, /* credentials are needed, and there are none or wrong ones */
    ERR_DENIED,       /* they are known, and it isn't theirs to do */
    ERR_UNSUPPORTED,

    ERR_COUNT
};

#define ERR_MESSAGE_MAX 256
#define ERR_FACT_MAX 160 /* a sha512 digest fits */

/* Filled by whoever fails, with the object's name in the message. `about` names the things that
 * the error is about (missing digests, say); it belongs to the arena of the request, or is NULL. */
struct err {
    enum err_code code;
    int sys; /* errno, or the library's number; 0 when there is none */
    char message[ERR_MESSAGE_MAX];
    const char *const *about;
    size_t about_n;
    char expected[ERR_FACT_MAX]; /* what there should have been, and what there was: "" where */
    char found[ERR_FACT_MAX];    /* the message alone says it all */
};

/* Fill *e and return -1, so that a failing function can end in `return err_set(e, ...)`. A message
 * that is too long is cut, and bytes other than printable ASCII become '?', so that it can stand in
 * JSON as it is. e may not be NULL; arguments may point into e->message. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with a text of somebody else's as it is, which is valid UTF-8 without control
 * characters; a long one is cut between two of its characters. */
int err_set_utf8(struct err *e, enum err_code code, const char *text);

/* The same for a failed system call: takes errno, appends its text (which is there even when the
 * message before it had to be cut), and picks ERR_NO_SPACE for ENOSPC and EDQUOT, else ERR_SYSTEM.
 * errno stays. */
int err_errno(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Add to what err_set or err_errno has filled, and return -1 like them. */
int err_expected(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int err_found(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
