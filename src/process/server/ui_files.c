#include "process/server/ui_files.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>
#include "process/options/option_file.h"
#include "process/server/runfile.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"

#define FILE_MAX (1u << 20)
#define FIRST_FILE "index.html"
#define COPIES "run/ui"
#define NAME_BYTES "abcdefghijklmnopqrstuvwxyz_-"

/* ---- where they are ---- */

/* The directory of the program, without a final slash. */
static bool
find_program_dir(char *out, size_t room)
{
    ssize_t n = readlink("/proc/self/exe", out, room - 1);
    char *slash;

    if (n <= 0)
        return false;
    out[n] = '\0';
    slash = strrchr(out, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    return true;
}

/* Returns the text, or NULL if no page is there; frees it then. */
static char *
keep_page_dir(char *dir)
{
    char *first = mem_printf("%s" FIRST_FILE, dir);
    bool found = access(first, F_OK) == 0;

    free(first);
    if (found)
        return dir;
    free(dir);
    return NULL;
}

char *
ui_files_find(void)
{
    char program[PATH_MAX];
    char *dir = NULL;

    if (find_program_dir(program, sizeof program)) {
        dir = keep_page_dir(mem_printf("%s/ui/", program));
        if (dir == NULL)
            dir = keep_page_dir(mem_printf("%s/../share/" PACKAGE_NAME "/ui/", program));
    }
    return dir != NULL ? dir : keep_page_dir(mem_printf("%s", PACKAGE_DATA_DIR "/ui/"));
}

/* ---- their copies ---- */

/* A name is letters, and a suffix: no other is served. */
static bool
is_page_file(const char *name)
{
    static const char *const suffixes[] = {".html", ".js", ".css", ".svg"};
    size_t stem = strspn(name, NAME_BYTES);

    if (stem == 0 || strlen(name) >= sizeof((struct ui_files *)0)->names[0])
        return false;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (strcmp(name + stem, suffixes[i]) == 0)
            return true;
    return false;
}

static int
read_page_files(struct ui_files *u, int fd, DIR *dir, struct err *err)
{
    const struct dirent *entry;

    while ((entry = readdir(dir)) != NULL) {
        struct buf *content = &u->contents[u->n];

        if (!is_page_file(entry->d_name))
            continue;
        if (u->n == UI_FILES_MAX)
            return err_set(err, ERR_SYSTEM, "more than %d files", UI_FILES_MAX);
        buf_init(content, FILE_MAX);
        snprintf(u->names[u->n++], sizeof u->names[0], "%s", entry->d_name);
        if (option_file_read(fd, entry->d_name, content, err) < 0)
            return -1;
    }
    return 0;
}

void
ui_files_read(struct ui_files *u, struct err *err)
{
    char *name = ui_files_find();
    DIR *dir = name != NULL ? opendir(name) : NULL;

    u->n = 0;
    if (name == NULL)
        err_set(err, ERR_SYSTEM, "there is no " PACKAGE_DATA_DIR "/ui/");
    else if (dir == NULL)
        err_errno(err, "cannot open %s", name);
    else if (read_page_files(u, dirfd(dir), dir, err) < 0)
        ui_files_free(u);
    if (dir != NULL)
        closedir(dir);
    free(name);
}

void
ui_files_prepare(struct ui_files *u)
{
    ui_files_read(u, &u->why);
}

int
ui_files_install(const struct ui_files *u, int dirfd, struct err *err)
{
    char name[64];

    if (fdio_remove_tree(dirfd, COPIES, err) < 0)
        return -1;
    if (u->n > 0 && fdio_mkdir(dirfd, COPIES, 0700, err) < 0)
        return -1;
    if (u->n == 0 && u->why.message[0] != '\0')
        log_line(LOG_WARN, "the web page /ui/ is left out, as with --no-ui", "why=%s",
                 u->why.message);
    for (size_t i = 0; i < u->n; i++) {
        snprintf(name, sizeof name, COPIES "/%s", u->names[i]);
        if (runfile_write(dirfd, name, buf_bytes(&u->contents[i]), err) < 0)
            return -1;
    }
    return 0;
}

void
ui_files_free(struct ui_files *u)
{
    for (size_t i = 0; i < u->n; i++)
        buf_free(&u->contents[i]);
    u->n = 0;
}
