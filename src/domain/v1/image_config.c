#include "domain/v1/image_config.h"
#include <stdint.h>
#include <strings.h>
#include "util/clock.h"

/* The shape of a JSON value. Clients accept null for each shape. */
enum shape {
    SHAPE_ANY,
    SHAPE_STRING,
    SHAPE_BOOLEAN,
    SHAPE_INTEGER,
    SHAPE_STRINGS, /* a list of them */
    SHAPE_COMMAND, /* a list of strings, or one string for a list of one */
    SHAPE_SET,     /* an object whose members are {} */
    SHAPE_MAP,     /* of strings to strings */
    SHAPE_HEALTH,
    SHAPE_CONFIG,
    SHAPE_DROP, /* removed, whatever it is */
};

struct known {
    const char *name;
    enum shape shape;
};

/* The members of the image's JSON itself. */
static const struct known image_members[] = {
    {"architecture", SHAPE_STRING}, {"author", SHAPE_STRING},
    {"comment", SHAPE_STRING},      {"config", SHAPE_CONFIG},
    {"container", SHAPE_STRING},    {"container_config", SHAPE_CONFIG},
    {"created", SHAPE_DROP},        {"docker_version", SHAPE_STRING},
    {"history", SHAPE_DROP},        {"id", SHAPE_DROP},
    {"layer_id", SHAPE_DROP},       {"os", SHAPE_STRING},
    {"os.features", SHAPE_STRINGS}, {"os.version", SHAPE_STRING},
    {"parent", SHAPE_DROP},         {"parent_id", SHAPE_DROP},
    {"rootfs", SHAPE_DROP},         {"Size", SHAPE_DROP},
    {"throwaway", SHAPE_DROP},      {"variant", SHAPE_STRING},
};

/* The members of config and container_config. */
static const struct known config_members[] = {
    {"ArgsEscaped", SHAPE_BOOLEAN},
    {"AttachStderr", SHAPE_BOOLEAN},
    {"AttachStdin", SHAPE_BOOLEAN},
    {"AttachStdout", SHAPE_BOOLEAN},
    {"Cmd", SHAPE_COMMAND},
    {"Domainname", SHAPE_STRING},
    {"Entrypoint", SHAPE_COMMAND},
    {"Env", SHAPE_STRINGS},
    {"ExposedPorts", SHAPE_SET},
    {"Healthcheck", SHAPE_HEALTH},
    {"Hostname", SHAPE_STRING},
    {"Image", SHAPE_STRING},
    {"Labels", SHAPE_MAP},
    {"MacAddress", SHAPE_STRING},
    {"NetworkDisabled", SHAPE_BOOLEAN},
    {"OnBuild", SHAPE_STRINGS},
    {"OpenStdin", SHAPE_BOOLEAN},
    {"Shell", SHAPE_COMMAND},
    {"StdinOnce", SHAPE_BOOLEAN},
    {"StopSignal", SHAPE_STRING},
    {"StopTimeout", SHAPE_INTEGER},
    {"Tty", SHAPE_BOOLEAN},
    {"User", SHAPE_STRING},
    {"Volumes", SHAPE_SET},
    {"WorkingDir", SHAPE_STRING},
};

static const struct known health_members[] = {
    {"Interval", SHAPE_INTEGER},    {"Retries", SHAPE_INTEGER}, {"StartInterval", SHAPE_INTEGER},
    {"StartPeriod", SHAPE_INTEGER}, {"Test", SHAPE_STRINGS},    {"Timeout", SHAPE_INTEGER},
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* ---- shapes ---- */

/* Finds a member as the clients do, without regard to case. *exact: it is written in the right
 * letters. */
static const struct known *
find_known(const struct known *table, size_t n, const char *name, bool *exact)
{
    for (size_t i = 0; i < n; i++) {
        *exact = strcmp(table[i].name, name) == 0;
        if (*exact || strcasecmp(table[i].name, name) == 0)
            return &table[i];
    }
    return NULL;
}

static bool
are_strings(const struct json *array)
{
    for (size_t i = 0; i < json_length(array); i++)
        if (json_string(json_item(array, i)) == NULL)
            return false;
    return json_type(array) == JSON_ARRAY;
}

static int
is_no_object(const char *name, const struct json *value, void *arg)
{
    (void)name;
    (void)arg;
    return json_type(value) != JSON_OBJECT && json_type(value) != JSON_NULL;
}

static int
is_no_string(const char *name, const struct json *value, void *arg)
{
    (void)name;
    (void)arg;
    return json_string(value) == NULL;
}

static bool has_shape(const struct json *value, enum shape shape);

static int
is_bad_health(const char *name, const struct json *value, void *arg)
{
    bool exact;
    const struct known *k = find_known(health_members, COUNT(health_members), name, &exact);

    (void)arg;
    return k != NULL && (!exact || !has_shape(value, k->shape));
}

/* Checks a value. Not for SHAPE_CONFIG, see read_container_config. */
static bool
has_shape(const struct json *value, enum shape shape)
{
    int64_t number;

    if (json_type(value) == JSON_NULL)
        return true;
    switch (shape) {
    case SHAPE_STRING:
        return json_string(value) != NULL;
    case SHAPE_BOOLEAN:
        return json_type(value) == JSON_BOOLEAN;
    case SHAPE_INTEGER:
        return json_i64(value, &number);
    case SHAPE_STRINGS:
        return are_strings(value);
    case SHAPE_COMMAND:
        return json_string(value) != NULL || are_strings(value);
    case SHAPE_SET:
        return json_type(value) == JSON_OBJECT && json_each(value, is_no_object, NULL) == 0;
    case SHAPE_MAP:
        return json_type(value) == JSON_OBJECT && json_each(value, is_no_string, NULL) == 0;
    case SHAPE_HEALTH:
        return json_type(value) == JSON_OBJECT && json_each(value, is_bad_health, NULL) == 0;
    case SHAPE_ANY:
    case SHAPE_CONFIG:
    case SHAPE_DROP:
        break;
    }
    return true;
}

static const char *
shape_name(enum shape shape)
{
    switch (shape) {
    case SHAPE_STRING:
        return "a string";
    case SHAPE_BOOLEAN:
        return "true or false";
    case SHAPE_INTEGER:
        return "an integer";
    case SHAPE_STRINGS:
    case SHAPE_COMMAND:
        return "a list of strings";
    case SHAPE_SET:
        return "an object of {}";
    case SHAPE_MAP:
        return "an object of strings";
    case SHAPE_HEALTH:
        return "a healthcheck";
    case SHAPE_CONFIG:
    case SHAPE_ANY:
    case SHAPE_DROP:
        break;
    }
    return "an object";
}

/* An unknown member is kept as it is, if that is safe: clients must not take its name for another
 * one (their comparison without case goes beyond ASCII), and its numbers must come out as they came
 * in. */
static bool
is_harmless(const char *name, const struct json *value)
{
    for (const char *c = name; *c != '\0'; c++)
        if (*c < 0x20 || *c > 0x7e)
            return false;
    return json_is_exact(value);
}

/* ---- config ---- */

struct reading {
    const char *what;    /* "config." */
    bool keeps_unknown;  /* as docker does, see is_recent */
    struct json *config; /* what is made */
    struct err *err;
};

static int
refuse_member(const struct reading *r, const struct known *k, bool exact)
{
    if (!exact)
        return err_set(r->err, ERR_BAD_IMAGE, "in its JSON, only case tells a member from %s%s",
                       r->what, k->name);
    return err_set(r->err, ERR_BAD_IMAGE, "in its JSON, %s%s must be %s", r->what, k->name,
                   shape_name(k->shape));
}

static struct json *
list_of_one(const char *text)
{
    struct json *list = json_new_array();

    json_add_string(list, text);
    return list;
}

static int
read_config_member(const char *name, const struct json *value, void *arg)
{
    struct reading *r = arg;
    bool exact;
    const struct known *k = find_known(config_members, COUNT(config_members), name, &exact);

    if (k == NULL) {
        if (r->keeps_unknown && is_harmless(name, value))
            json_set(r->config, name, json_copy(value));
        return 0;
    }
    if (!exact || !has_shape(value, k->shape))
        return refuse_member(r, k, exact);
    json_set(r->config, name,
             k->shape == SHAPE_COMMAND && json_type(value) == JSON_STRING
                 ? list_of_one(json_string(value))
                 : json_copy(value));
    return 0;
}

/* NULL: the value is no config. */
static struct json *
read_container_config(const char *what, const struct json *value, bool keeps_unknown,
                      struct err *err)
{
    struct reading r = {.what = what, .keeps_unknown = keeps_unknown, .err = err};

    if (json_type(value) != JSON_OBJECT && json_type(value) != JSON_NULL) {
        err_set(err, ERR_BAD_IMAGE, "in its JSON, config is not an object");
        return NULL;
    }
    r.config = json_new_object();
    if (json_each(value, read_config_member, &r) == 0)
        return r.config;
    json_free(r.config);
    return NULL;
}

/* ---- the image's JSON ---- */

void
image_config_add(struct image_config *c, const char *name, struct json *json)
{
    size_t at = c->n;

    if (c->n == IMAGE_CONFIG_MEMBERS_MAX) {
        json_free(json);
        return;
    }
    for (; at > 0 && strcmp(c->members[at - 1].name, name) > 0; at--)
        c->members[at] = c->members[at - 1];
    c->members[at] = (struct image_config_member){name, json};
    c->n++;
}

void
image_config_free(struct image_config *c)
{
    for (size_t i = 0; i < c->n; i++)
        json_free(c->members[i].json);
    c->n = 0;
}

/* The first version of docker that keeps unknown members when it makes a config of such a JSON. It
 * assumes that only JSONs of its own kind have more. */
static bool
is_recent(const char *version)
{
    static const unsigned first[] = {1, 8, 3};

    for (size_t i = 0; i < COUNT(first); i++) {
        unsigned n = 0;

        for (; *version >= '0' && *version <= '9'; version++)
            n = n < 100000 ? 10 * n + (unsigned)(*version - '0') : n;
        if (n != first[i])
            return n > first[i];
        version += *version == '.';
    }
    return true;
}

struct taking {
    struct image_config *out;
    bool keeps_unknown;
    struct err *err;
};

static bool
decides(const char *name)
{
    return strcmp(name, "config") == 0 || strcmp(name, "architecture") == 0 ||
           strcmp(name, "os") == 0;
}

static int
take_member(const char *name, const struct json *value, void *arg)
{
    struct taking *t = arg;
    struct reading r = {.what = "", .err = t->err};
    struct err ignored;
    bool exact, good;
    const struct known *k = find_known(image_members, COUNT(image_members), name, &exact);

    /* These three are always there; image_config_read adds them. */
    if (k != NULL && decides(k->name))
        return exact && (k->shape == SHAPE_CONFIG || has_shape(value, k->shape))
                   ? 0
                   : refuse_member(&r, k, exact);
    if (t->out->n + 10 > IMAGE_CONFIG_MEMBERS_MAX)
        return err_set(t->err, ERR_BAD_IMAGE, "its JSON has too many members");
    if (k != NULL && k->shape == SHAPE_CONFIG) {
        struct json *config =
            exact ? read_container_config("", value, t->keeps_unknown, &ignored) : NULL;

        if (config != NULL)
            image_config_add(t->out, k->name, config);
        return 0;
    }
    good = k != NULL ? exact && k->shape != SHAPE_DROP && has_shape(value, k->shape)
                     : t->keeps_unknown && is_harmless(name, value);
    if (good && json_type(value) != JSON_NULL)
        image_config_add(t->out, name, json_copy(value));
    return 0;
}

static void
add_text(struct image_config *c, const char *name, const struct json *value, const char *otherwise)
{
    const char *text = json_string(value);
    struct json *list = list_of_one(text != NULL && text[0] != '\0' ? text : otherwise);

    image_config_add(c, name, json_copy(json_item(list, 0)));
    json_free(list);
}

int
image_config_read(const struct json *v1, struct image_config *out, struct err *err)
{
    const char *version = json_string(json_member(v1, "docker_version"));
    struct taking t = {.out = out, .err = err};
    struct json *config;

    out->n = 0;
    t.keeps_unknown = version != NULL && is_recent(version);
    if (json_type(v1) != JSON_OBJECT)
        return err_set(err, ERR_BAD_IMAGE, "its JSON is not an object");
    if (json_each(v1, take_member, &t) != 0)
        return -1;
    config = read_container_config("config.", json_member(v1, "config"), t.keeps_unknown, err);
    if (config == NULL)
        return -1;
    image_config_add(out, "config", config);
    add_text(out, "architecture", json_member(v1, "architecture"), "amd64");
    add_text(out, "os", json_member(v1, "os"), "linux");
    return 0;
}

void
image_config_created(const struct json *v1, char out[IMAGE_CONFIG_DATE_MAX])
{
    const char *text = json_string(json_member(v1, "created"));

    out[0] = '\0';
    if (text != NULL && strlen(text) < IMAGE_CONFIG_DATE_MAX && clock_is_rfc3339(text))
        snprintf(out, IMAGE_CONFIG_DATE_MAX, "%s", text);
}
