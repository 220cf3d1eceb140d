#include "storage/files/blob_store.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/files/body_dir.h"
#include "storage/files/disk_space.h"
#include "storage/s3/s3_client.h"
#include "storage/s3/s3_exchange.h"
#include "util/buf.h"
#include "util/fdio.h"
#include "util/hex.h"
#include "util/mem.h"
#include "util/pack.h"

#define ID_NAME "registry-id"
#define ID_DIGITS 16
#define ID_MAX 256 /* bytes that are read */

struct blob_store
blob_store_inside(int root)
{
    return (struct blob_store){.root = root, .outside = -1, .name = "layers"};
}

/* ---- opening ---- */

static int
open_s3(struct blob_store *s, const char *text, struct err *err)
{
    int rc;

    s->name = text;
    s->s3 = mem_alloc(sizeof *s->s3);
    rc = s3_bucket_parse(s->s3, text, err);
    if (rc == 0)
        rc = s3_exchange_load(err);
    if (rc == 0)
        rc = s3_bucket_read_keys(s->s3, s->root, err);
    if (rc != 0)
        blob_store_close(s);
    return rc;
}

static int
refuse_owner(const struct blob_store *s, uid_t owner, struct err *err)
{
    const struct passwd *pw = getpwuid(geteuid());
    char us[64];

    if (pw != NULL)
        snprintf(us, sizeof us, "%s", pw->pw_name);
    else
        snprintf(us, sizeof us, "%lu", (unsigned long)geteuid());
    return err_set(err, ERR_SYSTEM,
                   "--blobs %.150s belongs to another user (%lu): give it to the server's, with "
                   "chown -R %s",
                   s->name, (unsigned long)owner, us);
}

int
blob_store_open(struct blob_store *s, int root, const char *outside, bool read_only,
                struct err *err)
{
    struct stat st;

    *s = blob_store_inside(root);
    if (outside == NULL)
        return 0;
    if (s3_bucket_is(outside))
        return open_s3(s, outside, err);
    s->name = outside;
    s->outside = open(outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->outside < 0 && errno == ENOENT)
        return err_set(err, ERR_SYSTEM,
                       "--blobs %.150s doesn't exist: make it, and give it to the server's user",
                       outside);
    if (s->outside < 0 || fstat(s->outside, &st) != 0)
        return err_errno(err, "cannot open --blobs %.150s", outside);
    if (!read_only && st.st_uid != geteuid()) {
        refuse_owner(s, st.st_uid, err);
        blob_store_close(s);
        return -1;
    }
    return 0;
}

void
blob_store_close(struct blob_store *s)
{
    fdio_close(s->outside);
    s->outside = -1;
    free(s->s3);
    s->s3 = NULL;
}

int
blob_store_base(const struct blob_store *s)
{
    return s->outside >= 0 ? s->outside : s->root;
}

const char *
blob_store_prefix(const struct blob_store *s)
{
    return s->outside >= 0 ? "" : "layers/";
}

void
blob_store_hurry(const struct blob_store *s)
{
    if (s->s3 != NULL)
        s->s3->hurried = true;
}

/* ---- looking ---- */

int
blob_store_ask(const struct blob_store *s, struct err *err)
{
    struct buf text;
    int rc;

    buf_init(&text, ID_MAX);
    rc = s3_client_get_bytes(s->s3, ID_NAME, &text, err);
    buf_free(&text);
    return rc < 0 ? -1 : 0;
}

int
blob_store_check(const struct blob_store *s, struct err *err)
{
    static const char *const inside[] = {"layers/sha256", "layers/sha512"};
    static const char *const outside[] = {"sha256", "sha512", "tmp"};

    if (s->s3 != NULL)
        return 0;
    if (s->outside >= 0) {
        for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
            if (fdio_check_dir(s->outside, outside[i], err) != 0)
                return -1;
        return 0;
    }
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        if (body_dir_check_links(s->root, inside[i], err) != 0)
            return -1;
    return 0;
}

int
blob_store_check_room(const struct blob_store *s, uint64_t more, struct err *err)
{
    return s->outside >= 0 ? disk_space_check(s->outside, more, err) : 0;
}

int
blob_store_sync(const struct blob_store *s, struct err *err)
{
    if (s->s3 == NULL && syncfs(blob_store_base(s)) != 0)
        return err_errno(err, "cannot make what was written durable");
    return 0;
}

/* ---- whose blobs they are ---- */

int
blob_store_read_id(const struct blob_store *s, uint64_t *id, struct err *err)
{
    char name[sizeof "layers/" + sizeof ID_NAME];
    uint8_t b[ID_DIGITS / 2];
    struct buf text;
    int rc;

    snprintf(name, sizeof name, "%s" ID_NAME, blob_store_prefix(s));
    buf_init(&text, ID_MAX);
    rc = s->s3 != NULL ? s3_client_get_bytes(s->s3, ID_NAME, &text, err)
                       : fdio_read_file(blob_store_base(s), name, &text, err);
    if (rc == 1 && (text.n != ID_DIGITS + 1 || text.p[ID_DIGITS] != '\n' ||
                    !hex_decode(b, sizeof b, (const char *)text.p, ID_DIGITS)))
        rc = err_set(err, ERR_UNSUPPORTED, "%.150s: " ID_NAME " was not made by this program",
                     s->name);
    else if (rc == 1)
        *id = unpack_uint_at(b, sizeof b);
    buf_free(&text);
    return rc;
}

int
blob_store_write_id(const struct blob_store *s, uint64_t id, struct err *err)
{
    char name[sizeof "layers/" + sizeof ID_NAME], text[ID_DIGITS + 2];

    snprintf(name, sizeof name, "%s" ID_NAME, blob_store_prefix(s));
    snprintf(text, sizeof text, "%016llx\n", (unsigned long long)id);
    if (s->s3 != NULL)
        return s3_client_put_bytes(s->s3, ID_NAME, bytes_str(text), err);
    return fdio_replace_file(blob_store_base(s), name, 0440, bytes_str(text), err);
}

static bool
is_known_name(const char *name, size_t n)
{
    static const char *const ours[] = {"sha256",     "sha512", "index",
                                       "quarantine", "tmp",    "lost+found"};

    if (*name == '.' || strncmp(name, ID_NAME, strlen(ID_NAME)) == 0)
        return true;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strlen(ours[i]) == n && memcmp(ours[i], name, n) == 0)
            return true;
    return false;
}

static int
refuse_name(const struct blob_store *s, const char *name, struct err *err)
{
    if (is_known_name(name, strcspn(name, "/")))
        return 0;
    return err_set(err, ERR_UNSUPPORTED,
                   "%s%.150s holds %.50s, which isn't a registry's: name an empty one",
                   blob_store_is_outside(s) ? "--blobs " : "", s->name, name);
}

static int
look_at_object(const struct s3_object *o, int64_t now_s, void *arg, struct err *err)
{
    struct blob_store *s = arg;

    (void)now_s;
    return refuse_name(s, o->key, err);
}

int
blob_store_refuse_strangers(const struct blob_store *s, struct err *err)
{
    struct blob_store copy = *s;
    DIR *dir;
    int rc = 0;

    if (s->s3 != NULL)
        return s3_client_list(s->s3, "", look_at_object, &copy, err);
    dir = fdio_opendir(blob_store_base(s), s->outside >= 0 ? "." : "layers", err);
    if (dir == NULL)
        return -1;
    for (const struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;)
        rc = refuse_name(s, e->d_name, err);
    closedir(dir);
    return rc;
}
