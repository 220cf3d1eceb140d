#include "process/nginx/guessers.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "process/server/runfile.h"
#include "util/bytes.h"
#include "util/fdio.h"
#include "util/log.h"

#define BARRED_DIR "run/guessers"
#define BARRED_MS 60000

/* A program of this machine may be a proxy, and all of its clients have this address. */
static const char *const never_barred[] = {"127.0.0.1", ":"};

int
guessers_init(struct guessers *g, int dirfd, uint64_t max, struct err *err)
{
    *g = (struct guessers){.dirfd = dirfd, .max = max};
    if (fdio_remove_tree(dirfd, BARRED_DIR, err) < 0)
        return -1;
    return fdio_mkdir(dirfd, BARRED_DIR, 0700, err) < 0 ? -1 : 0;
}

void
guesser_name(char name[GUESSER_NAME_MAX], const char *address)
{
    static const char mapped[] = "::ffff:";
    size_t n = 0;

    if (strncmp(address, mapped, strlen(mapped)) == 0 && strchr(address, '.') != NULL) {
        snprintf(name, GUESSER_NAME_MAX, "%s", address + strlen(mapped));
        return;
    }
    for (int groups = 0; groups < 4; groups++) {
        size_t digits = strspn(address + n, "0123456789abcdef");

        if (address[n + digits] != ':')
            break;
        n += digits + 1;
        if (digits == 0)
            break;
    }
    snprintf(name, GUESSER_NAME_MAX, "%.*s", (int)(n > 0 ? n : strlen(address)), address);
}

static bool
can_be_barred(const char *name)
{
    for (size_t i = 0; i < sizeof never_barred / sizeof *never_barred; i++)
        if (strcmp(name, never_barred[i]) == 0)
            return false;
    return *name != '\0' && strchr(name, '/') == NULL && name[0] != '.';
}

static struct guesser *
find_guesser(struct guessers *g, const char *name)
{
    struct guesser *unused = NULL;

    for (size_t i = 0; i < GUESSERS_MAX; i++) {
        if (strcmp(g->of[i].name, name) == 0)
            return &g->of[i];
        if (unused == NULL && g->of[i].name[0] == '\0')
            unused = &g->of[i];
    }
    return unused;
}

static void
barred_path(char path[64 + GUESSER_NAME_MAX], const struct guesser *of)
{
    snprintf(path, 64 + GUESSER_NAME_MAX, BARRED_DIR "/%s", of->name);
}

static void
bar_guesser(const struct guessers *g, struct guesser *of, uint64_t now_ms)
{
    char path[64 + GUESSER_NAME_MAX];
    struct err err;

    of->until_ms = now_ms + BARRED_MS;
    barred_path(path, of);
    if (runfile_write(g->dirfd, path, bytes_of("", 0), &err) < 0)
        log_line(LOG_WARN, "cannot bar an address that guesses passwords", "address=%s why=%s",
                 of->name, err.message);
    else
        log_line(LOG_WARN, "too many wrong passwords", "address=%s seconds=%d", of->name,
                 BARRED_MS / 1000);
}

void
guessers_count(struct guessers *g, const char *address, uint64_t now_ms)
{
    char name[GUESSER_NAME_MAX];
    struct guesser *of;

    guesser_name(name, address);
    if (g->max == 0 || !can_be_barred(name))
        return;
    of = find_guesser(g, name);
    if (of == NULL)
        return;
    if (of->name[0] == '\0') {
        memcpy(of->name, name, sizeof name);
        of->times = 0;
        of->until_ms = now_ms + BARRED_MS;
    }
    of->times++;
    if (of->times == g->max)
        bar_guesser(g, of, now_ms);
}

void
guessers_tend(struct guessers *g, uint64_t now_ms)
{
    char path[64 + GUESSER_NAME_MAX];

    for (size_t i = 0; i < GUESSERS_MAX; i++) {
        struct guesser *of = &g->of[i];

        if (of->name[0] == '\0' || now_ms < of->until_ms)
            continue;
        barred_path(path, of);
        if (of->times >= g->max)
            unlinkat(g->dirfd, path, 0);
        of->name[0] = '\0';
    }
}
