#include "process/commands/command_top.h"
#include <unistd.h>
#include "process/commands/stat_screen.h"
#include "util/clock.h"
#include "util/mem.h"

#define TOP_EACH_MS 2000
#define TOP_LOOK_MS 100
/* The cursor goes to the first place, and what is behind it is cleared. */
#define TOP_BEGIN "\033[H\033[J"

static void
wait_for_next(const struct control *c)
{
    uint64_t until = clock_mono_ms() + TOP_EACH_MS;

    while (!control_is_over(c) && clock_mono_ms() < until)
        clock_sleep_ms(TOP_LOOK_MS);
}

enum command_exit
command_top_work(struct control *c, struct err *err)
{
    struct stat_numbers *n = mem_array(2, sizeof *n), *now, *before = NULL;
    bool has_colour = c->args_n > 1 && strcmp(c->args[1], STAT_SCREEN_COLOUR) == 0;
    int rc = 0;

    if (c->reg->metrics == NULL)
        rc = err_set(err, ERR_BUSY, "no server runs here: the command stat shows what is stored");
    for (now = n; rc == 0 && !control_is_over(c); now = before == n ? n + 1 : n) {
        rc = stat_numbers_get(c, now, NULL, NULL, err);
        if (rc != 0)
            break;
        fputs(TOP_BEGIN, stdout);
        stat_screen_print(now, before, has_colour);
        if (fflush(stdout) != 0)
            rc = err_errno(err, "cannot write the numbers");
        before = now;
        wait_for_next(c);
    }
    free(n);
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* ---- the caller's side ---- */

enum command_exit
command_top(struct options *o, struct err *err)
{
    const char *args[] = {"top", stat_screen_style(), NULL};

    options_forget_users(o); /* of a configuration file */
    if (o->words.n > 0 || isatty(STDOUT_FILENO) != 1) {
        err_set(err, ERR_BAD_REQUEST,
                o->words.n > 0
                    ? "usage: docker-registry-server top, with --dir, --config and --run-as as for "
                      "the server"
                    : "top needs a terminal: use the command stat instead");
        return COMMAND_USAGE;
    }
    return control_run(o, command_top_work, args, err);
}
