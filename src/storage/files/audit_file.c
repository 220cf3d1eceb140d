#include "storage/files/audit_file.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/json.h"
#include "util/utf8.h"

#define NAME_MAX_BYTES 64
/* A text has six bytes for each of its bytes at most. */
#define LINE_MAX_BYTES 4096

static void
name_older_part(char out[NAME_MAX_BYTES], const char *name)
{
    snprintf(out, NAME_MAX_BYTES, "%s.1", name);
}

/* ---- writing ---- */

static void
set_audit_text(struct json *j, const char *name, const char *value)
{
    char text[AUDIT_FILE_TEXT];

    snprintf(text, sizeof text, "%s", value);
    utf8_mend(text);
    if (text[0] != '\0')
        json_set_string(j, name, text);
}

static void
put_audit_line(struct buf *out, const struct audit_line *line)
{
    struct json *j = json_new_object();

    json_set_u64(j, "time", line->time);
    set_audit_text(j, "what", line->what);
    set_audit_text(j, "user", line->user);
    set_audit_text(j, "about", line->about);
    if (line->times > 1)
        json_set_u64(j, "times", line->times);
    json_put(j, out);
    buf_putc(out, '\n');
}

static int
open_to_append(int dirfd, const char *name, struct err *err)
{
    const int flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    char older[NAME_MAX_BYTES];
    struct stat st;
    int fd = openat(dirfd, name, flags, 0640);

    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size >= AUDIT_FILE_MAX) {
        fdio_close(fd);
        name_older_part(older, name);
        if (renameat(dirfd, name, dirfd, older) != 0)
            return err_errno(err, "cannot rename %s", name);
        fd = openat(dirfd, name, flags, 0640);
    }
    return fd >= 0 ? fd : err_errno(err, "cannot open %s", name);
}

int
audit_file_append(int dirfd, const char *name, const struct audit_line *line, struct err *err)
{
    struct buf out;
    int rc, fd = open_to_append(dirfd, name, err);

    if (fd < 0)
        return -1;
    buf_init(&out, LINE_MAX_BYTES);
    put_audit_line(&out, line);
    rc = buf_ok(&out) ? fdio_write_all(fd, out.p, out.n, name, err)
                      : err_set(err, ERR_TOO_LONG, "%s: the entry is too long", name);
    buf_free(&out);
    fdio_close(fd);
    return rc;
}

/* ---- reading ---- */

/* Of the parts that are left, opens the first that is there. */
static void
open_next_part(struct audit_reader *r)
{
    char older[NAME_MAX_BYTES];
    int fd;

    name_older_part(older, r->name);
    while (r->file == NULL && r->part > 0) {
        r->part--;
        fd = openat(r->dirfd, r->part == 1 ? older : r->name,
                    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        r->file = fd >= 0 ? fdopen(fd, "r") : NULL;
        if (r->file == NULL)
            fdio_close(fd);
    }
}

void
audit_file_open(struct audit_reader *r, int dirfd, const char *name)
{
    *r = (struct audit_reader){.dirfd = dirfd, .name = name, .part = 2};
    open_next_part(r);
}

void
audit_file_close(struct audit_reader *r)
{
    if (r->file != NULL)
        fclose(r->file);
    r->file = NULL;
}

static void
take_text(char out[AUDIT_FILE_TEXT], const struct json *j)
{
    const char *text = json_string(j);

    snprintf(out, AUDIT_FILE_TEXT, "%s", text != NULL ? text : "");
}

static bool
parse_audit_line(const char *text, struct audit_line *line)
{
    struct json *j;
    struct err ignored;
    bool good;

    if (json_parse(bytes_str(text), 2, &j, &ignored) != 0)
        return false;
    *line = (struct audit_line){.times = 1};
    take_text(line->what, json_member(j, "what"));
    take_text(line->user, json_member(j, "user"));
    take_text(line->about, json_member(j, "about"));
    json_u64(json_member(j, "times"), &line->times);
    good = json_u64(json_member(j, "time"), &line->time) && line->what[0] != '\0';
    json_free(j);
    return good;
}

int
audit_file_next(struct audit_reader *r, struct audit_line *line)
{
    char text[LINE_MAX_BYTES];

    while (r->file != NULL) {
        if (fgets(text, sizeof text, r->file) == NULL) {
            audit_file_close(r);
            open_next_part(r);
        } else if (parse_audit_line(text, line)) {
            return 1;
        }
    }
    return 0;
}
