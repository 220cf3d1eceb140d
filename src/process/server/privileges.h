#pragma once

#include <linux/capability.h>
#include <stdbool.h>
#include <sys/types.h>
#include "util/err.h"

/* The user of the serving processes. A process that is started as root gives up everything at once:
 * user, groups, rights, terminal, and being traced. */
struct privileges {
    bool root;         /* started as root */
    bool had_terminal; /* when it was started */
    uid_t uid;
    gid_t gid;
    char user[64];  /* its name, or its number if it has no name */
    char home[256]; /* its home directory if root becomes the user; "": none, or an unusable one */
    unsigned kept;  /* rights of root that it may still use */
};

/* Rights that can be kept. */
#define PRIVILEGES_READ (1u << CAP_DAC_READ_SEARCH)  /* a renewed key of root's */
#define PRIVILEGES_BIND (1u << CAP_NET_BIND_SERVICE) /* ports below 1024 */

/* Only processes that have all rights of another one can trace it (ptrace(2)), or see what it has
 * open. So one right that is good for next to nothing shields a program that is executed from the
 * other processes of its user. CAP_NET_BROADCAST is unused; containers often have only the second
 * one. */
#define PRIVILEGES_SHIELDS (1u << CAP_NET_BROADCAST | PRIVILEGES_BIND)

/* Started as root: run_as, or www-data if that is NULL. Started as a user: that user; another
 * run_as is an error. */
int privileges_plan(struct privileges *p, const char *run_as, struct err *err);

/* Becomes that user: ids, groups, capabilities; and verifies that there is no way back. Other
 * processes of the user can't trace the process then, nor read its memory, and it has left root's
 * terminal. The rights in `keep` stay within reach. Does nothing if the process isn't root. */
int privileges_drop(struct privileges *p, unsigned keep, struct err *err);

/* The same two steps for a program that a server has executed to take its place: it has the user,
 * and the rights of privileges_pass. */
int privileges_plan_again(struct privileges *p, const char *run_as, struct err *err);
int privileges_drop_again(struct privileges *p, unsigned keep, struct err *err);
/* For a program that only looks at the options of such a server, as that program would: the rights
 * stay within reach, none is used, and programs that it executes have none. Does nothing without
 * rights, and for root. */
int privileges_take_passed(struct privileges *p, struct err *err);
/* From now on programs that are executed have all rights that were kept, or none. If the server
 * gave up root, they leave no core files: only once they run can they refuse to be traced. */
void privileges_pass(const struct privileges *p, bool on);

/* Uses these of the kept rights from now on, and no others. Programs that are executed don't have
 * them. */
void privileges_use(const struct privileges *p, unsigned rights);

/* The kept right that shields programs, or 0. */
unsigned privileges_shield(const struct privileges *p);
/* In a child that executes a program next: gives up all rights except the shield, which the program
 * and its children will have. If the server gave up root, they leave no core files. Returns 1; 0 if
 * there is no shield, so that other processes of the user can trace the program; -1 and errno. */
int privileges_shield_program(const struct privileges *p);

/* Gives up all rights except these, for good, and uses none. 0, or -1 and errno. */
int privileges_keep(struct privileges *p, unsigned rights);
/* In a child: gives up all of them. */
int privileges_forget(const struct privileges *p);

/* In a child that stays for long: gives it a process group of its own, and a session of its own if
 * that of the process which started it had a terminal. Without a terminal the children share the
 * session, because Linux schedules each session as a group (sched(7), autogroup): with a session
 * for each worker, 32 clients get a tenth fewer manifests. */
void privileges_leave_session(const struct privileges *p);

/* Leaves the controlling terminal, so that no key can be pushed into it (TIOCSTI). ^C still reaches
 * the process through its group. The leader of a session stays: the terminal is its own. */
void privileges_leave_terminal(void);
