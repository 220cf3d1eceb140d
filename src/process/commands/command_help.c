#include "process/commands/command_help.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/commands/manual.h"
#include "process/commands/manual_text.h"
#include "util/fdio.h"

static int
list_topics(FILE *to, struct err *err)
{
    for (size_t i = 0; i < manual_data_pages_n; i++) {
        char topic[MANUAL_TOPIC_MAX];
        struct bytes description = manual_description(&manual_data_pages[i]);
        manual_topic(topic, &manual_data_pages[i]);
        fprintf(to, "  %-16s  %.*s\n", topic, (int)description.n, (const char *)description.p);
    }
    return fflush(to) == 0 ? 0 : err_errno(err, "cannot write the list of topics");
}

/* Runs a program that renders and shows the page on its standard input. 1 when it has done so, 0 if
 * it could not, -1. */
static int
show_by_program(const struct manual_page *page, const char *const argv[], struct err *err)
{
    posix_spawn_file_actions_t actions;
    struct err ignored; /* the reader may have seen enough */
    int ends[2], status = 0, sys;
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(err, "cannot make a pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
    sys = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[0]);
    if (sys == 0) {
        signal(SIGPIPE, SIG_IGN);
        fdio_write_all(ends[1], page->text, strlen(page->text), argv[0], &ignored);
    }
    close(ends[1]);
    if (sys != 0)
        return 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int
print_text(const struct manual_page *page, struct err *err)
{
    struct buf text;
    int rc = 0;
    buf_init(&text, MANUAL_TEXT_MAX);
    manual_text_render(&text, page->text);
    if (fwrite(text.p, 1, text.n, stdout) != text.n || fflush(stdout) != 0)
        rc = err_errno(err, "cannot write the page");
    buf_free(&text);
    return rc;
}

static int
show_page(const struct manual_page *page, struct err *err)
{
    static const char *const man[] = {"man", "-l", "-", NULL};
    static const char *const mandoc[] = {"mandoc", "-a", NULL};
    int shown = 0;
    if (isatty(STDOUT_FILENO))
        shown = show_by_program(page, man, err);
    if (shown == 0 && isatty(STDOUT_FILENO))
        shown = show_by_program(page, mandoc, err);
    if (shown == 0)
        return print_text(page, err);
    return shown < 0 ? -1 : 0;
}

enum command_exit
command_help(struct options *o, struct err *err)
{
    const struct manual_page *page;
    if (o->words.n > 1) {
        err_set(err, ERR_BAD_REQUEST, "unexpected argument %s: help takes one topic",
                o->words.v[1]);
        return COMMAND_USAGE;
    }
    if (o->words.n == 0)
        return list_topics(stdout, err) == 0 ? COMMAND_DONE : COMMAND_FAILED;
    page = manual_find(o->words.v[0]);
    if (page == NULL) {
        list_topics(stderr, err);
        err_set(err, ERR_BAD_REQUEST, "unknown topic %s: choose one of the list", o->words.v[0]);
        return COMMAND_USAGE;
    }
    return show_page(page, err) == 0 ? COMMAND_DONE : COMMAND_FAILED;
}
