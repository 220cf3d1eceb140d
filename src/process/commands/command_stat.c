#include "process/commands/command_stat.h"
#include "process/commands/progress.h"
#include "process/commands/stat_screen.h"
#include "util/mem.h"

static void
show_counting(void *arg)
{
    progress_tell(arg, "counting tags and blobs");
}

static int
get_numbers(struct control *c, struct stat_numbers *n, struct err *err)
{
    struct progress progress;
    int rc;

    progress_begin(&progress);
    rc = stat_numbers_get(c, n, show_counting, &progress, err);
    progress_end(&progress);
    return rc;
}

enum command_exit
command_stat_work(struct control *c, struct err *err)
{
    struct stat_numbers *n = mem_alloc(sizeof *n);
    const char *style = c->args_n > 1 ? c->args[1] : "";
    int rc = get_numbers(c, n, err);

    if (rc == 0 && strcmp(style, "json") == 0)
        command_print("", stat_screen_json(n), "\n");
    else if (rc == 0)
        stat_screen_print(stdout, n, NULL, strcmp(style, STAT_SCREEN_COLOUR) == 0);
    free(n);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = err_errno(err, "cannot write the numbers");
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* ---- the caller's side ---- */

enum command_exit
command_stat(struct options *o, struct err *err)
{
    const char *args[] = {"stat", o->json ? "json" : stat_screen_style(), NULL};

    options_forget_users(o); /* of a configuration file */
    if (o->words.n > 0) {
        err_set(err, ERR_BAD_REQUEST,
                "usage: docker-registry-server stat [--json], with --dir, --config and --run-as as "
                "for the server");
        return COMMAND_USAGE;
    }
    return control_run(o, command_stat_work, args, err);
}
