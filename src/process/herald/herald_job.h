#ifndef PROCESS_HERALD_HERALD_JOB_H
#define PROCESS_HERALD_HERALD_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "domain/events/hook.h"
#include "domain/events/outbox.h"
#include "process/herald/herald_log.h"

/* One hook that runs. Nothing here waits: its output is read as it comes, lines of it go to the log
 * up to a rate, and it ends with all that it has started (its process group): by itself, by its
 * time limit, or by force. Times are clock_mono_ms(). */

/* A line is cut to this. */
#define HERALD_JOB_LINE_MAX 1000
/* So much output is taken at once, and so much a second from then on; the rest is left out. */
#define HERALD_JOB_BURST (64u << 10)
#define HERALD_JOB_BYTES_PER_MS 8

enum herald_job_state {
    HERALD_JOB_FREE,
    HERALD_JOB_RUNNING,
    HERALD_JOB_TERMINATED, /* SIGTERM was sent to its group */
    HERALD_JOB_KILLED,     /* SIGKILL was */
    HERALD_JOB_EXITED,     /* itself it has ended; what it said may still be on its way */
    HERALD_JOB_ENDED,      /* nothing is left of it but the result */
};

struct herald_job {
    enum herald_job_state state;
    struct outbox_event event;
    enum hook which;
    uint32_t tries; /* that have failed before */
    pid_t pid;
    int out;           /* its output; -1 */
    uint64_t limit_ms; /* --hook-timeout */
    uint64_t deadline; /* of the state that it is in */
    bool timed_out;
    bool cut;   /* ended because we stop: no try */
    int status; /* waitpid's */
    bool ok;    /* the result, and its last line or why it failed */
    char last[RECORD_HOOK_LINE_MAX + 1];
    bool reported; /* for the owner's use */

    char line[HERALD_JOB_LINE_MAX];
    size_t line_n;
    uint64_t line_over; /* bytes that didn't fit the line */
    uint64_t room;      /* bytes that may go to the log now */
    uint64_t room_at;
    uint64_t lost; /* lines that were left out */
};

/* Begins: j is FREE, and is RUNNING or ENDED afterwards. */
void herald_job_start(struct herald_job *j, struct hooks *hooks, const struct outbox_event *e,
                      uint32_t tries, uint64_t limit_ms, struct herald_log *log, uint64_t now);
/* Its output can be read. */
void herald_job_read(struct herald_job *j, struct herald_log *log, uint64_t now);
/* What is due; also after SIGCHLD. */
void herald_job_tick(struct herald_job *j, struct herald_log *log, uint64_t now);
/* When to call that again at the latest. UINT64_MAX: when something happens. */
uint64_t herald_job_due(const struct herald_job *j);
/* Ends it because we stop, within so much time. */
#define HERALD_JOB_CUT_MS 1000
void herald_job_cut(struct herald_job *j, uint64_t now);

#endif
