#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include "storage/tables/record.h"
#include "util/arena.h"
#include "util/err.h"

/* Hooks are programs of the administrator that are told of events. Pre-hooks are asked before
 * something changes, and may refuse. This module knows the hooks and how they are called;
 * docker-registry-server-hooks(5) is the documentation for users. Values that clients choose reach
 * a hook as arguments and environment, never as part of a script. */

/* The longest script of --on-NAME, in bytes. The kernel takes 128 KiB as one argument. */
#define HOOK_SCRIPT_MAX 100000

enum hook {
    HOOK_IMAGE,
    HOOK_LAYER,
    HOOK_VERIFY,
    HOOK_INDEX,
    HOOK_TAG,
    HOOK_UNTAG,
    HOOK_MANIFEST,
    HOOK_DELETE,
    HOOK_DAMAGE,
    HOOK_PRE_TAG, /* from here on pre-hooks */
    HOOK_PRE_DELETE,
    HOOK_COUNT,
};

/* "tag", "pre-tag": the NAME in --on-NAME, and the name of the file. */
const char *hook_name(enum hook h);
bool hook_parse(const char *name, enum hook *out);
enum hook hook_of_event(enum event_type type);

/* The state of a file that can't be run, when a warning about it was logged. */
struct hook_seen {
    bool warned;
    dev_t device;
    ino_t inode;
    struct timespec changed;
};

/* The places where hooks are looked for. Filled by process/, once in each process that looks for
 * hooks. */
struct hooks {
    int dirfd;                       /* the data directory, in which all hooks are run */
    const char *dir;                 /* with the files: "./hooks", or --hooks, absolute */
    bool dir_named;                  /* --hooks was given: the directory has to be there */
    const char *scripts[HOOK_COUNT]; /* --on-NAME; NULL: none */
    const char *user;                /* for USER and LOGNAME; NULL: inherited */
    bool has_secrets;                /* passwords in the environment are for the server alone */
    bool quiet;                      /* no warnings: another process logs them */
    struct hook_seen seen[HOOK_COUNT];
};

/* Is there something to run? --on-NAME has precedence over the file DIR/NAME. As with git, a file
 * counts only if it is executable, so samples don't count. The file is looked at in each call,
 * which costs a stat when there is none. 1: yes. 0: no. -1: there is a hook that can't be run (no
 * first line "#!...", no such interpreter, not a regular file, a link that leads nowhere), and err
 * says what to do. -1 also for a pre-hook that isn't executable, or whose directory was named and
 * is missing: it must not let everything through. A warning is logged once for each state of a file
 * that can't be run or isn't executable. */
int hook_find(struct hooks *h, enum hook which, struct err *err);
/* Allows all warnings to be logged again. For SIGHUP. */
void hook_forget(struct hooks *h);

/* "name:tag" without library/ and :latest; the name alone when tag is "". */
#define HOOK_SHORT_MAX (RECORD_REPOSITORY_MAX + 1 + RECORD_TAG_MAX + 1)
void hook_short_name(char out[HOOK_SHORT_MAX], const char *repository, const char *tag);

/* The arguments: $1 is the id in hex digits. $2 is the short name for a hook about a tag,
 * REPO@DIGEST for manifest and delete, either for pre-delete, and "" for hooks without a second
 * argument. */
#define HOOK_ABOUT_MAX (RECORD_REPOSITORY_MAX + 1 + DIGEST_TEXT_MAX)
struct hook_arguments {
    char id[DIGEST_TEXT_MAX];
    char about[HOOK_ABOUT_MAX];
};
void hook_arguments_of(struct hook_arguments *a, enum hook which, const struct rec_event *e);

/* The command to execute, for struct spawn with h->dirfd. For --on-NAME, /bin/bash -c SCRIPT NAME
 * ARGUMENTS, so that $0 is the name. Else the file, with ./hooks/NAME as its argv[0]. */
struct hook_command {
    const char *path;
    const char *const *argv;
    const char *const *envp;
};

/* Makes the command of a hook that hook_find has found, in the arena. It takes a few KiB, and 8
 * bytes for each variable of our own environment, to whose texts it points. seq: the event's
 * number; 0 for a pre-hook. The environment of the hook is ours, without the variables that systemd
 * sets for our process alone, with a PATH, and with nine variables, which are all always set:
 *   REGISTRY_EVENT          the hook's name
 *   REGISTRY_EVENT_ID       seq, the same at each try; "" for pre-hooks
 *   REGISTRY_TIME           RFC 3339, UTC, with milliseconds
 *   REGISTRY_REPOSITORY, REGISTRY_TAG
 *   REGISTRY_DIGEST         sha256:... of the manifest, or of the layer
 *   REGISTRY_OLD_DIGEST     the digest that the tag named before
 *   REGISTRY_MEDIA_TYPE     of the manifest
 *   REGISTRY_ACTOR          the user
 * A variable is "" if the event has no such value. 0, or -1: the arena is full. */
int hook_command_of(const struct hooks *h, enum hook which, const struct rec_event *e, uint64_t seq,
                    struct arena *arena, struct hook_command *c, struct err *err);
