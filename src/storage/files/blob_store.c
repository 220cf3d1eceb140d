#include "storage/files/blob_store.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/files/body_dir.h"
#include "storage/files/disk_space.h"
#include "util/buf.h"
#include "util/fdio.h"
#include "util/hex.h"
#include "util/pack.h"

#define ID_NAME "registry-id"
#define ID_DIGITS 16

struct blob_store
blob_store_inside(int root)
{
    return (struct blob_store){.root = root, .outside = -1, .name = "layers"};
}

/* ---- opening ---- */

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

/* ---- looking ---- */

int
blob_store_check(const struct blob_store *s, struct err *err)
{
    static const char *const inside[] = {"layers/sha256", "layers/sha512"};
    static const char *const outside[] = {"sha256", "sha512", "tmp"};

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
    if (syncfs(blob_store_base(s)) != 0)
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
    buf_init(&text, 256);
    rc = fdio_read_file(blob_store_base(s), name, &text, err);
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
    return fdio_replace_file(blob_store_base(s), name, 0440, bytes_str(text), err);
}

int
blob_store_refuse_strangers(const struct blob_store *s, struct err *err)
{
    static const char *const ours[] = {"sha256", "sha512", "quarantine", "tmp", "lost+found"};
    DIR *dir = fdio_opendir(blob_store_base(s), s->outside >= 0 ? "." : "layers", err);
    int rc = 0;

    if (dir == NULL)
        return -1;
    for (const struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;) {
        bool known = e->d_name[0] == '.' || strncmp(e->d_name, ID_NAME, strlen(ID_NAME)) == 0;

        for (size_t i = 0; !known && i < sizeof ours / sizeof *ours; i++)
            known = strcmp(e->d_name, ours[i]) == 0;
        if (!known)
            rc = err_set(err, ERR_UNSUPPORTED,
                         "%s%.150s holds %.50s, which isn't a registry's: name an empty directory",
                         s->outside >= 0 ? "--blobs " : "", s->name, e->d_name);
    }
    closedir(dir);
    return rc;
}
