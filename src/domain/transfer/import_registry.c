#include "domain/transfer/import_registry.h"
#include "domain/transfer/import_manifest.h"
#include "util/fdio.h"
#include "util/mem.h"

#define PATH_ROOM 1024

/* More than a registry of one machine has. */
#define REPOSITORIES_MAX 1000000

/* "sha512:" and its digits, perhaps a line's end. */
#define LINK_MAX 256

struct walk {
    struct import_store *s;
    const struct import_files *files;
    char **names; /* of repositories, all of them */
    size_t n;
    size_t room;
    const char *below;     /* while they are collected: the name so far, with a slash; or "" */
    const char *name;      /* of the one that is taken */
    enum digest_algo algo; /* of the revisions that are listed */
};

/* ---- the files ---- */

static int
open_registry_blob(const struct walk *w, const struct digest *d, struct import_file *file,
                   struct err *err)
{
    char path[PATH_ROOM], hex[DIGEST_TEXT_MAX];
    int rc;

    digest_hex(hex, d);
    snprintf(path, sizeof path, "blobs/%s/%.2s/%s/data", digest_algo_name(d->algo), hex, hex);
    rc = import_files_open(w->files, path, file, err);
    file->fixed = rc == 1;
    return rc;
}

/* The digest in a link: 1, 0 no such link, -1. */
static int
read_link(const struct walk *w, const char *path, struct digest *d, struct err *err)
{
    struct buf text;
    size_t n;
    int rc;

    buf_init(&text, LINK_MAX);
    rc = import_files_read(w->files, path, &text, err);
    for (n = text.n; n > 0 && (text.p[n - 1] == '\n' || text.p[n - 1] == '\r'); n--)
        ;
    if (rc == 1 && digest_parse(d, buf_text(&text), n, err) != 0)
        rc = -1;
    buf_free(&text);
    return rc;
}

/* ---- what import_store asks for ---- */

static int
find_registry_document(void *arg, const struct digest *d, struct buf *out, struct err *err)
{
    const struct walk *w = arg;
    char path[PATH_ROOM], hex[DIGEST_TEXT_MAX];
    struct import_file file;
    struct digest named;
    int rc;

    digest_hex(hex, d);
    snprintf(path, sizeof path, "repositories/%s/_manifests/revisions/%s/%s/link", w->name,
             digest_algo_name(d->algo), hex);
    rc = read_link(w, path, &named, err);
    if (rc != 1)
        return rc;
    if (!digest_equal(&named, d))
        return err_set(err, ERR_NO_FILE, "its link leads to another manifest");
    rc = open_registry_blob(w, d, &file, err);
    if (rc == 0)
        return err_set(err, ERR_NO_FILE, "its file isn't there");
    if (rc == 1 && import_files_append(&file, out, err) != 0)
        rc = -1;
    import_files_shut(&file);
    return rc;
}

static int
find_registry_blob(void *arg, const struct digest *d, struct import_file *file, struct err *err)
{
    return open_registry_blob(arg, d, file, err);
}

/* ---- one repository ---- */

static int
take_revision(const char *name, void *arg, struct err *err)
{
    struct walk *w = arg;
    char text[300], path[PATH_ROOM];
    struct import_file file;
    struct digest d;
    int rc;

    if (snprintf(text, sizeof text, "%s:%s", digest_algo_name(w->algo), name) >= (int)sizeof text ||
        digest_parse(&d, text, strlen(text), err) != 0)
        return 0;
    /* A manifest that was deleted leaves a directory without a link. */
    snprintf(path, sizeof path, "repositories/%s/_manifests/revisions/%s/%s/link", w->name,
             digest_algo_name(d.algo), name);
    rc = import_files_open(w->files, path, &file, err);
    if (rc == 0)
        return 0;
    import_files_shut(&file);
    return import_manifest_take(w->s, &d, "", err) < 0 ? -1 : 0;
}

/* For a tag whose link is missing. 0: it was deleted just now; -1. */
static int
tag_without_link(const struct walk *w, const char *tag, struct err *err)
{
    char path[PATH_ROOM];
    int fd, rc;

    snprintf(path, sizeof path, "%srepositories/%s/_manifests/tags/%s", w->files->below, w->name,
             tag);
    rc = w->files->access->open(w->files->access->arg, path, false, &fd, err);
    if (rc != 1)
        return rc;
    fdio_close(fd);
    return err_set(err, ERR_NO_FILE, "it has no file current/link");
}

static int
import_registry_tag(const char *name, void *arg, struct err *err)
{
    struct walk *w = arg;
    char path[PATH_ROOM];
    struct digest d;
    int rc;

    if (snprintf(path, sizeof path, "repositories/%s/_manifests/tags/%s/current/link", w->name,
                 name) >= (int)sizeof path)
        rc = err_set(err, ERR_BAD_TAG, "its name is too long");
    else
        rc = read_link(w, path, &d, err);
    if (rc == 0)
        rc = tag_without_link(w, name, err);
    if (rc == 0)
        return 0;
    if (rc < 0)
        return import_store_failed(w->s, err, "tag %s:%.300s", w->s->name, name);
    return import_manifest_tag(w->s, name, &d, "", err) < 0 ? -1 : 0;
}

/* A directory that can't be read is reported, and the import goes on. */
static int
each(struct walk *w, const char *what, int (*fn)(const char *name, void *arg, struct err *err),
     struct err *err)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof path, "repositories/%s/_manifests/%s", w->name, what);
    return import_files_each(w->files, path, fn, w, err) >= 0
               ? 0
               : import_store_failed(w->s, err, "a part of repository %s", w->s->name);
}

static int
take_repository(struct walk *w, struct err *err)
{
    static const enum digest_algo algos[] = {DIGEST_SHA256, DIGEST_SHA512};
    int rc = import_store_enter(w->s, w->name, err);

    if (rc != 1)
        return rc;
    for (size_t i = 0; i < sizeof algos / sizeof *algos; i++) {
        char what[32];

        w->algo = algos[i];
        snprintf(what, sizeof what, "revisions/%s", digest_algo_name(w->algo));
        if (each(w, what, take_revision, err) != 0)
            return -1;
    }
    return each(w, "tags", import_registry_tag, err);
}

/* ---- all of them ---- */

static int
add_repository_name(struct walk *w, const char *name, struct err *err)
{
    w->names = mem_grow(w->names, &w->room, w->n + 1, sizeof *w->names);
    if (w->n == REPOSITORIES_MAX)
        return err_set(err, ERR_TOO_MANY, "there are more than %d repositories", REPOSITORIES_MAX);
    w->names[w->n] = mem_strdup(name);
    w->n++;
    return 0;
}

static int collect_repositories(struct walk *w, const char *name, struct err *err);

/* A name that begins with "_" belongs to the repository of this directory. All others are
 * directories of longer repository names. */
static int
collect_entry(const char *entry, void *arg, struct err *err)
{
    struct walk *w = arg;
    const char *below = w->below;
    char name[RECORD_REPOSITORY_MAX + 1];
    int rc;

    if (strcmp(entry, "_manifests") == 0)
        return add_repository_name(w, below, err);
    if (entry[0] == '_')
        return 0;
    if (snprintf(name, sizeof name, "%s%s%s", below, below[0] != '\0' ? "/" : "", entry) >=
        (int)sizeof name)
        return import_store_leave_out(
            w->s, "everything below repositories/%.300s is left out: its names are too long",
            below);
    rc = collect_repositories(w, name, err);
    w->below = below;
    return rc;
}

static int
collect_repositories(struct walk *w, const char *name, struct err *err)
{
    char path[PATH_ROOM];

    if (import_store_go_on(w->s, err) != 0)
        return -1;
    snprintf(path, sizeof path, "repositories/%s", name);
    w->below = name;
    return import_files_each(w->files, path, collect_entry, w, err) >= 0
               ? 0
               : import_store_failed(w->s, err, "%s", path);
}

int
import_registry_run(struct import_store *s, const struct import_files *files, struct err *err)
{
    struct walk w = {.s = s, .files = files};
    struct import_source source = {
        .document = find_registry_document, .blob = find_registry_blob, .arg = &w};
    int rc;

    s->source = &source;
    s->counts->of = "repositories";
    rc = collect_repositories(&w, "", err);
    s->counts->all = w.n;
    for (size_t i = 0; i < w.n && rc == 0; i++) {
        w.name = w.names[i];
        s->counts->at = i + 1;
        rc = take_repository(&w, err);
    }
    for (size_t i = 0; i < w.n; i++)
        free(w.names[i]);
    free(w.names);
    return rc;
}
