#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "domain/events/hook.h"
#include "domain/events/hook_last.h"
#include "domain/events/outbox.h"
#include "process/herald/herald_log.h"
#include "util/loop.h"

/* One hook that runs. Its output goes to the log line by line, up to a rate. It ends by itself, at
 * its time limit, or when it is cut, and then all processes of its group end. */

#define HERALD_JOB_LINE_MAX 1000 /* bytes; the rest of a line is left out */
/* Bytes of output that go to the log at once, and per millisecond from then on; lines beyond that
 * are left out. */
#define HERALD_JOB_BURST (64u << 10)
#define HERALD_JOB_BYTES_PER_MS 8

enum herald_job_state {
    HERALD_JOB_FREE,
    HERALD_JOB_RUNNING,
    HERALD_JOB_TERMINATED, /* its group got SIGTERM */
    HERALD_JOB_KILLED,     /* its group got SIGKILL */
    HERALD_JOB_EXITED,     /* the process has exited; some of its output may be on its way */
    HERALD_JOB_ENDED,      /* only the result is left */
};

/* The parts that all jobs share. */
struct herald_job_setting {
    struct loop *loop;
    struct herald_log *log;
    struct hooks *hooks;
    uint64_t limit_ms; /* --hook-timeout */
};

struct herald_job {
    const struct herald_job_setting *setting;
    enum herald_job_state state;
    struct outbox_event event;
    enum hook which;
    uint32_t tries; /* earlier ones, which failed */

    pid_t pid;
    int output; /* the reading end of its stdout and stderr; -1 */
    int exited; /* a pidfd; -1 */
    struct loop_fd output_fd, exited_fd;
    struct loop_timer deadline; /* of its state */

    bool timed_out;
    bool cut;                            /* because the herald stops: it counts as no try */
    bool ok;                             /* the result: exit code 0 */
    char last[RECORD_HOOK_LINE_MAX + 1]; /* its last line, or why it failed */
    bool reported;                       /* for the owner's use */
    uint64_t began_ms;
    struct hook_last_output tail; /* the end of its output */

    char line[HERALD_JOB_LINE_MAX];
    size_t line_n;
    uint64_t line_over; /* bytes that didn't fit into the line */
    uint64_t room;      /* bytes that may go to the log now */
    uint64_t room_at;   /* when that was computed */
    uint64_t lost;      /* lines left out */
};

/* Runs the hook of an event. j is FREE before, and RUNNING or ENDED afterwards; the loop does the
 * rest. */
void herald_job_start(struct herald_job *j, const struct herald_job_setting *setting,
                      const struct outbox_event *e, uint32_t tries);

/* Ends a job that is RUNNING because the herald stops; it is killed after this time. */
#define HERALD_JOB_CUT_MS 1000
void herald_job_cut(struct herald_job *j);
