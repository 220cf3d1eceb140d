#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "util/digest.h"
#include "util/err.h"

/* Hashes the bodies of large uploads while nginx still receives them, so that little is left to do
 * at the end, and asks the kernel to begin writing them to the disk.
 *
 * Each process that takes uploads has a thread that looks into the directory of bodies, as long as
 * uploads are announced. Files only grow there, so what was hashed of one stays right. All of these
 * processes share the memory with the hashes, since nginx gives the request to any of them. A file
 * is known by device, inode and time of birth, which no other file has had: an inode is used again,
 * but not within BODY_AHEAD_AGE_MS of its birth, and younger files are left alone. */

/* The directory (block UPLOAD of conf/blocks.conf). */
#define BODY_AHEAD_DIRECTORY "uploads/body"
/* Smaller files are left alone. */
#define BODY_AHEAD_LEAST (UINT64_C(8) << 20)
#define BODY_AHEAD_AGE_MS 50

struct body_ahead_table;

struct body_ahead {
    struct body_ahead_table *table; /* shared */
};

/* Call it before the processes are forked that share it. */
int body_ahead_make(struct body_ahead *a, struct err *err);
void body_ahead_close(struct body_ahead *a);

/* A large body will come; or one of unknown size. Costs nothing. */
void body_ahead_announce(const struct body_ahead *a);

/* Starts this process's thread, which lasts as long as the process. root: the data directory's
 * descriptor. Without a thread (because of the limit on processes, for example) all is as before.
 */
void body_ahead_follow(const struct body_ahead *a, int root);

/* The body is complete: nothing is hashed ahead of it any more, since it may be appended to, and
 * cut back. Call it before the file gets another name. */
void body_ahead_freeze(const struct body_ahead *a, int fd);

/* Gives the digest that was begun of this file, and removes it from the table. False: none was
 * begun. */
bool body_ahead_take(const struct body_ahead *a, int fd, struct digest_begun *begun);
