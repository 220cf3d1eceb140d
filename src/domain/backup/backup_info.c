#include "domain/backup/backup_info.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include "util/clock.h"
#include "util/fdio.h"
#include "util/json.h"
#include "util/mem.h"

#define BACKUP_FORMAT 1
#define DEPTH_MAX 4

void
backup_info_time(char out[BACKUP_TIME_MAX], uint64_t seconds)
{
    char text[CLOCK_RFC3339_MAX];
    size_t n = 0;

    clock_rfc3339(text, seconds * 1000);
    for (const char *p = text; *p != '\0' && *p != '.' && n + 2 < BACKUP_TIME_MAX; p++)
        if (*p != '-' && *p != ':')
            out[n++] = *p;
    out[n++] = 'Z';
    out[n] = '\0';
}

bool
backup_info_is_time(const char *name)
{
    return strlen(name) == strlen("20261130T010203Z") && strspn(name, "0123456789") == 8 &&
           name[8] == 'T' && strspn(name + 9, "0123456789") == 6 && name[15] == 'Z';
}

bool
backup_info_seconds(const char *name, uint64_t *seconds)
{
    char text[CLOCK_RFC3339_MAX];

    if (!backup_info_is_time(name))
        return false;
    snprintf(text, sizeof text, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", name, name + 4, name + 6,
             name + 9, name + 11, name + 13);
    return clock_parse_utc(text, seconds);
}

uint64_t
backup_info_next(uint64_t moment_ms, const char *newest)
{
    uint64_t second = moment_ms / 1000, last;

    if (newest == NULL || !backup_info_seconds(newest, &last) || second > last)
        return second;
    return last + 1;
}

int
backup_info_rename(int root, const char *from, const char *prefix, uint64_t second,
                   char to[BACKUP_PATH_MAX], struct err *err)
{
    char time[BACKUP_TIME_MAX];

    do {
        backup_info_time(time, second++);
        snprintf(to, BACKUP_PATH_MAX, "%s%s", prefix, time);
        if (fdio_rename_new(root, from, root, to) == 0)
            return 0;
    } while (errno == EEXIST);
    return err_errno(err, "cannot rename %s", from);
}

void
backup_info_free(struct backup_info *b)
{
    for (size_t i = 0; i < b->files_n; i++)
        free(b->files[i].name);
    free(b->files);
    free(b->damaged);
    *b = (struct backup_info){0};
}

void
backup_info_add(struct backup_info *b, const char *name, uint64_t size, unsigned mode,
                const struct digest *digest)
{
    b->files = mem_grow(b->files, &b->files_room, b->files_n + 1, sizeof *b->files);
    b->files[b->files_n++] = (struct backup_file){mem_strdup(name), size, mode, *digest};
}

bool
backup_info_is_damaged(const struct backup_info *b, const struct digest *d)
{
    for (size_t i = 0; i < b->damaged_n; i++)
        if (digest_equal(&b->damaged[i], d))
            return true;
    return false;
}

/* ---- as text ---- */

static struct json *
file_as_json(const struct backup_file *f)
{
    char digest[DIGEST_TEXT_MAX];
    struct json *j = json_new_object();

    digest_text(digest, &f->digest);
    json_set_string(j, "name", f->name);
    json_set_u64(j, "size", f->size);
    json_set_u64(j, "mode", f->mode);
    json_set_string(j, "digest", digest);
    return j;
}

void
backup_info_set_numbers(struct json *j, const struct backup_info *b)
{
    char moment[CLOCK_RFC3339_MAX];

    clock_rfc3339(moment, b->moment_ms);
    json_set_string(j, "moment", moment);
    json_set_u64(j, "blobs", b->blobs);
    json_set_u64(j, "bytes", b->bytes);
    json_set_u64(j, "new_blobs", b->new_blobs);
    json_set_u64(j, "new_bytes", b->new_bytes);
}

void
backup_info_write(const struct backup_info *b, struct buf *out)
{
    char digest[DIGEST_TEXT_MAX];
    struct json *j = json_new_object(), *files = json_new_array(), *damaged = json_new_array();

    json_set_u64(j, "format", BACKUP_FORMAT);
    json_set_string(j, "program", "docker-registry-server " PACKAGE_VERSION);
    json_set_u64(j, "moment_ms", b->moment_ms);
    backup_info_set_numbers(j, b);
    for (size_t i = 0; i < b->files_n; i++)
        json_add(files, file_as_json(&b->files[i]));
    json_set(j, "files", files);
    for (size_t i = 0; i < b->damaged_n; i++) {
        digest_text(digest, &b->damaged[i]);
        json_add_string(damaged, digest);
    }
    json_set(j, "damaged", damaged);
    json_set_bool(j, "complete", true);
    json_put(j, out);
    buf_putc(out, '\n');
}

/* No name that leads out of the three directories. */
static bool
is_backup_name(const char *name)
{
    return (strncmp(name, "db/", 3) == 0 || strncmp(name, "auth/", 5) == 0 ||
            strncmp(name, "hooks/", 6) == 0) &&
           strstr(name, "//") == NULL && strstr(name, "/./") == NULL &&
           strstr(name, "/../") == NULL && name[strlen(name) - 1] != '/' && strlen(name) < 1024 &&
           strcmp(strrchr(name, '/'), "/..") != 0 && strcmp(strrchr(name, '/'), "/.") != 0;
}

static bool
read_file_entry(struct backup_info *b, const struct json *j)
{
    const char *name = json_string(json_member(j, "name"));
    const char *digest = json_string(json_member(j, "digest"));
    struct digest d;
    struct err ignored;
    uint64_t size, mode;

    if (name == NULL || digest == NULL || !is_backup_name(name) ||
        !json_u64(json_member(j, "size"), &size) || !json_u64(json_member(j, "mode"), &mode) ||
        mode > 0777 || digest_parse(&d, digest, strlen(digest), &ignored) != 0)
        return false;
    backup_info_add(b, name, size, (unsigned)mode, &d);
    return true;
}

static bool
read_damaged_entry(struct backup_info *b, const struct json *j)
{
    const char *text = json_string(j);
    struct digest d;
    struct err ignored;

    if (text == NULL || digest_parse(&d, text, strlen(text), &ignored) != 0)
        return false;
    b->damaged = mem_grow(b->damaged, &b->damaged_room, b->damaged_n + 1, sizeof *b->damaged);
    b->damaged[b->damaged_n++] = d;
    return true;
}

static bool
read_info_members(struct backup_info *b, const struct json *j)
{
    const struct json *files = json_member(j, "files"), *damaged = json_member(j, "damaged");
    bool good = json_is_true(json_member(j, "complete")) &&
                json_u64(json_member(j, "moment_ms"), &b->moment_ms) &&
                json_u64(json_member(j, "blobs"), &b->blobs) &&
                json_u64(json_member(j, "bytes"), &b->bytes) &&
                json_u64(json_member(j, "new_blobs"), &b->new_blobs) &&
                json_u64(json_member(j, "new_bytes"), &b->new_bytes) && json_length(files) > 0 &&
                json_length(files) <= BACKUP_INFO_FILES_MAX &&
                json_length(damaged) <= BACKUP_INFO_DAMAGED_MAX;

    for (size_t i = 0; good && i < json_length(files); i++)
        good = read_file_entry(b, json_item(files, i));
    for (size_t i = 0; good && i < json_length(damaged); i++)
        good = read_damaged_entry(b, json_item(damaged, i));
    return good;
}

int
backup_info_read(struct backup_info *b, struct bytes text, const char *what, struct err *err)
{
    struct json *j = NULL;
    struct err why;
    uint64_t format;
    int rc = -1;

    *b = (struct backup_info){0};
    if (json_parse(text, DEPTH_MAX, &j, &why) != 0)
        err_set(err, ERR_CORRUPT, "%s is not complete: its %s is cut off", what, BACKUP_INFO_NAME);
    else if (!json_u64(json_member(j, "format"), &format))
        err_set(err, ERR_CORRUPT, "%s is no backup: its %s has no format", what, BACKUP_INFO_NAME);
    else if (format > BACKUP_FORMAT)
        err_set(err, ERR_UNSUPPORTED,
                "%s was made by a newer version (format %llu, and this one knows %d): use that "
                "version",
                what, (unsigned long long)format, BACKUP_FORMAT);
    else if (!read_info_members(b, j))
        err_set(err, ERR_CORRUPT, "%s is damaged: its %s can't be used", what, BACKUP_INFO_NAME);
    else
        rc = 0;
    json_free(j);
    return rc;
}
