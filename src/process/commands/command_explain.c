#include "process/commands/command_explain.h"
#include "domain/core/explain.h"
#include "process/commands/explain_view.h"
#include "process/commands/image_name.h"
#include "process/commands/progress.h"
#include "util/json.h"
#include "util/mem.h"

#define USAGE                                                                                      \
    "usage: docker-registry-server explain DIGEST, NAME:TAG or NAME@DIGEST [--json], with --dir, " \
    "--config and --run-as as for the server"

/* ---- what it is ---- */

static const char *
describe(const struct explain *x)
{
    if (x->digest.algo == DIGEST_V1_ID)
        return x->is_image ? "image of the first API" : "id of an image";
    if (x->manifests_n > 0)
        return x->manifests[0].record.media_type;
    if (x->counts[EDGE_TRASHED] > 0)
        return "deleted manifest";
    if (x->is_config)
        return "config";
    if (x->counts[EDGE_PART] + x->counts[EDGE_IMAGE] > 0)
        return "layer";
    return x->counts[EDGE_CHILD] > 0 ? "part of an index" : "blob";
}

static uint64_t
explained_size(const struct explain *x)
{
    return x->is_blob           ? x->blob.size
           : x->manifests_n > 0 ? x->manifests[0].record.size
                                : x->trashed_size;
}

static void
print_explanation(const struct registry *reg, const struct explain *x)
{
    char digest[DIGEST_TEXT_MAX], size[PROGRESS_EXACT_MAX];

    digest_text(digest, &x->digest);
    progress_exact_size(size, explained_size(x));
    printf("%s: %s, %s\n", digest, describe(x), size);
    explain_view_print(reg, x);
}

static void
print_explanation_json(const struct registry *reg, const struct explain *x)
{
    struct json *j = json_new_object();
    char digest[DIGEST_TEXT_MAX];

    digest_text(digest, &x->digest);
    json_set_string(j, "digest", digest);
    json_set_string(j, "is", describe(x));
    json_set_u64(j, "size", explained_size(x));
    explain_view_set(j, reg, x);
    command_print("", j, "\n");
}

/* ---- the work ---- */

static int
explain_question(struct control *c, struct explain *x, struct err *err)
{
    struct image_name q;
    char digest[DIGEST_TEXT_MAX];
    int rc;

    if (image_name_parse(&q, c->args[1], err) != 0 || image_name_find(c->reg, &q, err) != 0)
        return -1;
    rc = explain_digest(c->reg, &q.digest, x, err);
    digest_text(digest, &q.digest);
    if (rc == 0)
        return err_set(err, ERR_NO_BLOB, "%s isn't here", digest);
    return rc < 0 ? -1 : 0;
}

enum command_exit
command_explain_work(struct control *c, struct err *err)
{
    struct explain *x;
    int rc;

    if (c->args_n != 3) {
        err_set(err, ERR_UNSUPPORTED,
                "the running server has another version, without this command: restart it");
        return COMMAND_FAILED;
    }
    x = mem_alloc(sizeof *x);
    rc = explain_question(c, x, err);
    if (rc == 0 && strcmp(c->args[2], "json") == 0)
        print_explanation_json(c->reg, x);
    else if (rc == 0)
        print_explanation(c->reg, x);
    free(x);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = err_errno(err, "cannot write the answer");
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* ---- the caller's side ---- */

enum command_exit
command_explain(struct options *o, struct err *err)
{
    const char *args[] = {"explain", o->words.n == 1 ? o->words.v[0] : "",
                          o->json ? "json" : "text", NULL};
    struct image_name q;

    options_forget_users(o); /* of a configuration file */
    if (o->words.n != 1) {
        err_set(err, ERR_BAD_REQUEST, USAGE);
        return COMMAND_USAGE;
    }
    if (image_name_parse(&q, args[1], err) != 0)
        return COMMAND_USAGE;
    return control_run(o, command_explain_work, args, err);
}
