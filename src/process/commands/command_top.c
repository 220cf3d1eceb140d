#include "process/commands/command_top.h"
#include <sys/ioctl.h>
#include <unistd.h>
#include "process/commands/stat_screen.h"
#include "util/clock.h"
#include "util/mem.h"

#define TOP_EACH_MS 2000
#define TOP_LOOK_MS 100
/* The cursor goes to the first place, and what is behind it is cleared. Lines are cut at the edge,
 * so that each takes one row. */
#define TOP_BEGIN "\033[H\033[J\033[?7l"
#define TOP_END "\033[?7h"
#define TOP_SCREEN_MAX 16384

/* Of a screen that is higher than the terminal, its first line and its end are shown, where the
 * faults stand: what is scrolled away would be seen by nobody. */
static void
print_what_fits(const char *screen)
{
    size_t first = strcspn(screen, "\n") + 1;
    const char *rest = screen + first;
    struct winsize window;
    size_t lines = 0;

    for (const char *p = rest; *p != '\0'; p++)
        lines += *p == '\n';
    /* A row is for the first line, and one for the cursor behind the last. */
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_row > 2)
        for (; lines + 2 > window.ws_row; lines--)
            rest = strchr(rest, '\n') + 1;
    printf(TOP_BEGIN "%.*s%s" TOP_END, (int)first, screen, rest);
}

static int
print_top(const struct stat_numbers *now, const struct stat_numbers *before, bool has_colour,
          struct err *err)
{
    char screen[TOP_SCREEN_MAX] = "";
    FILE *to = fmemopen(screen, sizeof screen - 1, "w");

    if (to == NULL)
        return err_errno(err, "cannot make the screen");
    stat_screen_print(to, now, before, has_colour);
    fclose(to);
    print_what_fits(screen);
    return fflush(stdout) == 0 ? 0 : err_errno(err, "cannot write the numbers");
}

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
        rc = print_top(now, before, has_colour, err);
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
