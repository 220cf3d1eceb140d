#pragma once

#include <stddef.h>

/* The registry's own error codes. Rooms above util return them and know no HTTP status;
 * protocol/http/error_table.c has the answer to each code: a new one needs a row there. */
enum err_code {
    ERR_NONE = 0,

    /* the machine */
    ERR_SYSTEM,   /* a system call or library failed, and no other code is more exact */
    ERR_NO_SPACE, /* ENOSPC, EDQUOT: a retry succeeds once there is room */
    ERR_BUSY,     /* a retry in a moment may succeed: recovery, too many conflicts */
    ERR_FAULT,    /* a fault of the machine that may pass: EIO, EMFILE, ENOMEM and their like */
    ERR_UNSYNCED, /* an fsync failed: what was written is given up, and has to come again */
    ERR_CORRUPT,  /* stored data cannot be read */
    ERR_LONG,     /* this process is for short requests, and another one has to do this */

    /* the request */
    ERR_BAD_REQUEST,     /* the request itself: path, escapes, query, headers */
    ERR_BAD_NAME,        /* not a valid repository name */
    ERR_BAD_TAG,         /* not a valid tag name */
    ERR_BAD_DIGEST,      /* not a valid digest, or an unknown algorithm */
    ERR_DIGEST_MISMATCH, /* the bytes don't have the digest that was given */
    ERR_BAD_SIZE,        /* the length is missing, wrong, or not the announced one */
    ERR_BAD_RANGE,       /* a chunk that doesn't continue the upload */
    ERR_BAD_EXTENT,      /* the file has none of the bytes of the requested range */
    ERR_BAD_MANIFEST,    /* not a manifest that we accept */
    ERR_BAD_IMAGE,       /* not a v1 image that we accept */
    ERR_TOO_LARGE,       /* more bytes than allowed */
    ERR_TOO_LONG,        /* a query names more than allowed */
    ERR_IN_USE,          /* the object is still needed by another */
    ERR_EXISTS,          /* the object exists, and is never changed */
    ERR_CONDITION,       /* what is there isn't what If-Match or If-None-Match demands */
    ERR_TOO_MANY,        /* too many at the same time; a retry later succeeds */
    ERR_FULL,            /* the maximal number exists: one must be deleted first */

    /* missing objects */
    ERR_NO_ROUTE,
    ERR_NO_METHOD,
    ERR_NO_REPOSITORY,
    ERR_NO_MANIFEST,
    ERR_DAMAGED_MANIFEST,
    ERR_NO_BLOB,
    ERR_NO_UPLOAD,
    ERR_NO_IMAGE,
    ERR_NOT_CONVERTED, /* a v1 image that has no manifest yet */
    ERR_UNCONVERTIBLE, /* a v1 image that can't have a manifest; `found` says why */
    ERR_MISSING_PARTS, /* a manifest refers to objects that the repository doesn't have */

    /* inside images */
    ERR_NO_FILE,       /* no such path, or it is not a readable file */
    ERR_NOT_BROWSABLE, /* the layer is missing or can't be read; the message says why */

    /* rights */
    ERR_UNAUTHORIZED, /* credentials are missing or wrong */
    ERR_DENIED,       /* the user is known, but lacks the right */
    ERR_FOREIGN_PAGE, /* a web page of another origin wants to change something */
    ERR_UNSUPPORTED,
    ERR_READ_ONLY, /* the registry only serves what it has */

    ERR_COUNT
};

#define ERR_MESSAGE_MAX 512
#define ERR_FACT_MAX 160 /* enough for a sha512 digest */

/* Filled by the function that fails; the message names the object. `about` lists the things that
 * the error is about (missing digests, for example). It belongs to the arena of the request, or is
 * NULL. */
struct err {
    enum err_code code;
    int sys; /* errno, or the library's error number; 0: none */
    char message[ERR_MESSAGE_MAX];
    const char *const *about;
    size_t about_n;
    char expected[ERR_FACT_MAX]; /* the value that was expected, or "" */
    char found[ERR_FACT_MAX];    /* the value that was found, or "" */
};

/* Fill *e and return -1, so that a failing function can end in `return err_set(e, ...)`. A message
 * that is too long is cut, and bytes other than printable ASCII become '?', so that it can be put
 * into JSON without escapes. e must not be NULL; the arguments may point into e->message. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with a text that comes from outside and is used unchanged. It must be valid UTF-8
 * without control characters. A long text is cut between two characters. */
int err_set_utf8(struct err *e, enum err_code code, const char *text);

/* The same for a failed system call. Takes errno and appends its text, which is kept even when the
 * message has to be cut. The code is that of err_code_of. errno is not changed. */
int err_errno(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The code of a failed system call: ERR_NO_SPACE for ENOSPC and EDQUOT, ERR_FAULT for what the
 * machine lacks or breaks, else ERR_SYSTEM. */
enum err_code err_code_of(int sys);

/* Add details to an error that err_set or err_errno has filled. They return -1, too. */
int err_expected(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int err_found(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
