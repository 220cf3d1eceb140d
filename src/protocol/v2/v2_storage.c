#include "protocol/v2/v2_storage.h"
#include "domain/core/repository.h"
#include "domain/core/repository_sizes.h"
#include "domain/metrics/metrics_ask.h"
#include "protocol/v2/v2_numbers.h"
#include "util/clock.h"

/* Repositories that are named. */
#define LARGEST_MAX 50

/* A number that isn't known yet is null. */
static void
set_number_of(struct json *j, const char *name, const struct metrics_numbers *v, enum metric metric)
{
    if (v->known[metric])
        json_set_u64(j, name, v->v[metric][0]);
    else
        json_set(j, name, NULL);
}

static void
set_counted(struct json *body, const struct metrics_numbers *v)
{
    char at[CLOCK_RFC3339_MAX];

    clock_rfc3339(at, v->v[METRIC_COUNTED_AT][0]);
    if (v->known[METRIC_COUNTED_AT])
        json_set_string(body, "counted", at);
    else
        json_set(body, "counted", NULL);
    set_number_of(body, "repositories", v, METRIC_REPOSITORIES);
    set_number_of(body, "tags", v, METRIC_TAGS);
    set_number_of(body, "blobs", v, METRIC_BLOBS);
    set_number_of(body, "used", v, METRIC_BLOB_BYTES);
    set_number_of(body, "saved", v, METRIC_SHARED_BYTES);
    set_number_of(body, "garbage", v, METRIC_GARBAGE_WAITING);
    set_number_of(body, "uploads", v, METRIC_UPLOADS);
}

static struct json *
disk_of(const struct metrics_numbers *v)
{
    struct json *j = json_new_object();

    set_number_of(j, "free", v, METRIC_DISK_FREE);
    set_number_of(j, "size", v, METRIC_DISK_SIZE);
    return j;
}

/* Those that were removed since they were counted are left out. */
static int
add_largest(const struct call *c, struct json *list, struct err *err)
{
    struct repository_size v[LARGEST_MAX];
    size_t n = repository_sizes_largest(c->reg->sizes, v, LARGEST_MAX);

    for (size_t i = 0; i < n; i++) {
        char name[RECORD_REPOSITORY_MAX + 1];
        int rc = repository_name(c->reg, v[i].repo, name, err);
        struct json *j;

        if (rc < 0)
            return -1;
        if (rc == 0)
            continue;
        j = json_new_object();
        json_set_string(j, "name", name);
        json_set_u64(j, "size", v[i].bytes);
        json_add(list, j);
    }
    return 0;
}

int
v2_storage(struct call *c, struct err *err)
{
    struct metrics_numbers *v;
    struct json *body, *largest;

    if (v2_numbers(c, &v, err) != 0)
        return -1;
    metrics_ask_disk(c->reg->dirfd, v);
    largest = json_new_array();
    if (add_largest(c, largest, err) != 0) {
        json_free(largest);
        return -1;
    }
    body = json_new_object();
    set_counted(body, v);
    json_set(body, "disk", disk_of(v));
    json_set(body, "largest", largest);
    http_reply_header(c->reply, "Cache-Control", "no-store");
    return call_json(c, 200, body, err);
}
