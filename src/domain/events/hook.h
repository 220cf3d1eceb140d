#ifndef DOMAIN_EVENTS_HOOK_H
#define DOMAIN_EVENTS_HOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include "storage/tables/record.h"
#include "util/arena.h"
#include "util/err.h"

/* The longest script of --on-NAME: the kernel takes 128 KiB as one argument. */
#define HOOK_SCRIPT_MAX 100000

/* Programs of the administrator's that are told of what happened; and pre-hooks, that are asked
 * before it does. Here is which there are, and how they are called; docker-registry-server-hooks(5)
 * tells it to users. The values that strangers chose reach them as arguments and environment, never
 * as text of a script. */

enum hook {
    HOOK_IMAGE,
    HOOK_LAYER,
    HOOK_VERIFY,
    HOOK_INDEX,
    HOOK_TAG,
    HOOK_UNTAG,
    HOOK_MANIFEST,
    HOOK_DELETE,
    HOOK_PRE_TAG, /* from here on pre-hooks */
    HOOK_PRE_DELETE,
    HOOK_COUNT,
};

/* "tag", "pre-tag": what follows --on-, and the name of the file. */
const char *hook_name(enum hook h);
bool hook_parse(const char *name, enum hook *out);
enum hook hook_of_event(enum event_type type);

/* A file that can't be run, and was complained of, as it was then. */
struct hook_seen {
    bool said;
    dev_t device;
    ino_t inode;
    struct timespec changed;
};

/* Which there are. Filled by process/, once for each process that looks for hooks. */
struct hooks {
    int dirfd;                       /* the data directory: the working directory of all of them */
    const char *dir;                 /* of the files: "./hooks", or --hooks, absolute */
    const char *scripts[HOOK_COUNT]; /* --on-NAME; NULL: none */
    const char *home, *user;         /* for HOME and USER, LOGNAME; NULL: as we have them */
    bool quiet;                      /* somebody else says what can't be run */
    struct hook_seen seen[HOOK_COUNT];
};

/* Is there something to run? --on-NAME comes before the file DIR/NAME, and a file counts when it is
 * executable, as git has it; so samples, and what is being edited, don't. The file is looked at
 * each time, which costs a stat where there is none.
 * 1: yes. 0: no. -1: it ought to run, but can't (no first line "#!...", no such interpreter, no
 * regular file): err says what to do. A warning in the log tells once of a file that can't be run,
 * or isn't executable, and once more when it has changed and still can't. */
int hook_find(struct hooks *h, enum hook which, struct err *err);
/* SIGHUP: what was said may be said again. */
void hook_forget(struct hooks *h);

/* "name:tag" without library/ and :latest; without a tag the name alone. */
#define HOOK_SHORT_MAX (RECORD_REPOSITORY_MAX + 1 + RECORD_TAG_MAX + 1)
void hook_short_name(char out[HOOK_SHORT_MAX], const char *repository, const char *tag);

/* The arguments: $1, the id as hex digits; $2, the short name for those about a tag, REPO@DIGEST
 * for manifest and delete (pre-delete: whichever is to go), "" where there is none. */
#define HOOK_ABOUT_MAX (RECORD_REPOSITORY_MAX + 1 + DIGEST_TEXT_MAX)
struct hook_arguments {
    char id[DIGEST_TEXT_MAX];
    char about[HOOK_ABOUT_MAX];
};
void hook_arguments_of(struct hook_arguments *a, enum hook which, const struct rec_event *e);

/* What to execute, for struct spawn (with h->dirfd): /bin/bash -c SCRIPT NAME arguments..., so that
 * $0 is the name; or the file, with ./hooks/NAME as its argv[0]. */
struct hook_command {
    const char *path;
    const char *const *argv;
    const char *const *envp;
};

/* The command of a hook that hook_find has found, in the arena (some KiB, and 8 bytes for each
 * variable of our own environment, whose texts it points to). seq: the event's number, or 0 for
 * pre-hooks, which have none. The environment is ours without what systemd meant for us alone (and
 * with a PATH), and
 *   REGISTRY_EVENT          the hook's name
 *   REGISTRY_EVENT_ID       seq; the same at each try. "" for pre-hooks
 *   REGISTRY_TIME           RFC 3339, UTC, with milliseconds
 *   REGISTRY_REPOSITORY, REGISTRY_TAG
 *   REGISTRY_DIGEST         the manifest's, sha256:...; of a layer its own; "" for what has none
 *   REGISTRY_OLD_DIGEST     where the tag pointed before, or ""
 *   REGISTRY_MEDIA_TYPE     of the manifest
 *   REGISTRY_ACTOR          the user, or ""
 * always all nine, "" where an event has no such thing. 0, or -1: the arena is full. */
int hook_command_of(const struct hooks *h, enum hook which, const struct rec_event *e, uint64_t seq,
                    struct arena *arena, struct hook_command *c, struct err *err);

#endif
