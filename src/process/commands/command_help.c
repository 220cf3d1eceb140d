#include "process/commands/command_help.h"
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/commands/manual_data.h"
#include "util/fdio.h"
#include "util/spawn.h"

static int
list_topics(FILE *to, struct err *err)
{
    for (size_t i = 0; i < manual_data_pages_n; i++)
        fprintf(to, "  %-16s  %s\n", manual_data_pages[i].topic, manual_data_pages[i].description);
    return fflush(to) == 0 ? 0 : err_errno(err, "cannot write the list of topics");
}

/* Is that the page's topic, alone or with its section ("api", "api.7", "api(7)")? */
static bool
has_topic(const struct manual_page *page, const char *topic)
{
    const char dot[] = {'.', page->section, '\0'}, brackets[] = {'(', page->section, ')', '\0'};
    size_t n = strcspn(page->topic, ".");

    if (strncmp(topic, page->topic, n) != 0)
        return false;
    topic += n;
    return strcmp(topic, page->topic + n) == 0 || strcmp(topic, dot) == 0 ||
           strcmp(topic, brackets) == 0;
}

/* The page of a topic, or of the name of a page. NULL: there is none. */
static const struct manual_page *
find_page(const char *topic)
{
    static const char program[] = "docker-registry-server";
    size_t n = sizeof program - 1;
    char serve[16];

    if (strncmp(topic, program, n) == 0 && topic[n] == '-') {
        topic += n + 1;
    } else if (strncmp(topic, program, n) == 0) {
        snprintf(serve, sizeof serve, "serve%s", topic + n);
        topic = serve;
    }
    for (size_t i = 0; i < manual_data_pages_n; i++)
        if (has_topic(&manual_data_pages[i], topic))
            return &manual_data_pages[i];
    return NULL;
}

/* Shows the text with the user's pager, $PAGER or less. Returns false if there is none that runs.
 */
static bool
page_text(const char *text)
{
    const char *pager = getenv("PAGER");
    const char *argv[] = {pager != NULL && *pager != '\0' ? pager : "less", NULL};
    posix_spawn_file_actions_t actions;
    struct err ignored; /* the reader may have seen enough */
    int ends[2], status = 0, sys;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    setenv("LESS", "FRX", 0); /* less ends by itself if the text fits on the screen */
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
    sys = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[0]);
    if (sys == 0) {
        signal(SIGPIPE, SIG_IGN);
        fdio_write_all(ends[1], text, strlen(text), argv[0], &ignored);
    }
    close(ends[1]);
    if (sys == 0)
        status = spawn_wait(pid);
    return sys == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
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
    page = find_page(o->words.v[0]);
    if (page == NULL) {
        list_topics(stderr, err);
        err_set(err, ERR_BAD_REQUEST, "unknown topic %s: choose one of this list", o->words.v[0]);
        return COMMAND_USAGE;
    }
    if (isatty(STDOUT_FILENO) && page_text(page->text))
        return COMMAND_DONE;
    if (fputs(page->text, stdout) >= 0 && fflush(stdout) == 0)
        return COMMAND_DONE;
    err_errno(err, "cannot write the page");
    return COMMAND_FAILED;
}
