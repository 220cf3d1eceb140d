#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "domain/v1/conversion.h"
#include "domain/v1/image_config.h"
#include "util/buf.h"
#include "util/json.h"

/* Images as docker 1.6 and its like pushed them, and what has to come of them, byte for byte: a
 * manifest's digest that changes is another image to everybody. */

#define ID_A "b2ce039a47e5670131aa1b05aeb44f52864fb1001d629bb284b8a0631ddc8350"
#define ID_B "054390bfba7e1a09e9780536c54a4423f9a0faa1eef11327fa6d2a54a4b3c9f4"
#define ID_C "327f0af97b24e2bac792a439a65f367b65e7673823c42a891a2ba043160ab9a1"
#define ID_E "3e5c823c1f1ab6eb163178e3ec4df7305d7c58cb4fed00370793a6d7db497210"

#define DIFF_A "sha256:8fa3b1dd4b1163e00c1dc45891d5c598ca2cc0632e014b27ab7e0ee279b8dd31"
#define DIFF_B "sha256:c883cf55da42730130f775d3ea2bef5529634aecb4d7cefdb986b6d3129ffa1d"
#define DIFF_C "sha256:86264edf0cf0f625eea3712bd27a894c16e38f60cf55223cc54bc62fd432bd30"
#define DIFF_E "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"

struct pushed {
    const char *json;
    const char *blob;
    uint64_t size;
    enum inflate_format format;
    const char *diff_id;
};

static const struct pushed image_a = {
    "{\"id\":\"" ID_A "\",\"created\":\"2014-05-13T16:53:20.000000001Z\",\"container_config\":"
    "{\"Cmd\":[\"/bin/sh\",\"-c\",\"#(nop) ADD file in / \\u0026\\u0026 \\u003ctrue\\u003e\"]},"
    "\"docker_version\":\"1.6.0\",\"config\":{\"Env\":[\"A=1\"],\"Cmd\":[\"/bin/sh\"]},"
    "\"architecture\":\"amd64\",\"os\":\"linux\",\"Size\":18}",
    "sha256:08086f86510ba040c5e1d5026972b98d9b8f9c398e043bb0ca239c35d5d5a55b", 268, INFLATE_GZIP,
    DIFF_A};
static const struct pushed image_b = {
    "{\"id\":\"" ID_B "\",\"parent\":\"" ID_A
    "\",\"created\":\"2014-05-13T16:53:21Z\",\"container_config\":{\"Cmd\":null},"
    "\"docker_version\":\"1.6.0\",\"architecture\":\"amd64\",\"os\":\"linux\",\"Size\":6}\n",
    "sha256:c1a4f6593fa06163d8c044a68c1b02a74692afb5fb16c4a10c82c8e3e272e773", 191, INFLATE_GZIP,
    DIFF_B};
static const struct pushed image_c = {"{\"id\":\"" ID_C "\",\"parent\":\"" ID_B "\"}", DIFF_C, 3584,
                                      INFLATE_PLAIN, DIFF_C};
static const struct pushed image_e = {
    "{\"id\":\"" ID_E "\",\"parent\":\"" ID_C
    "\",\"created\":\"2014-05-13T16:53:23Z\",\"config\":{\"Cmd\":[\"/bin/true\"]}}",
    "sha256:a1b1b81d3d1afdb8fe119b002318c12c20934713b9754a40f702adb18a2540b9", 29, INFLATE_GZIP,
    DIFF_E};

struct made {
    struct arena arena;
    struct conversion c;
    struct err err;
    int rc;
};

static struct digest
digest_named(const char *text)
{
    struct digest d;
    struct err err;

    assert_int_equal(digest_parse(&d, text, strlen(text), &err), 0);
    return d;
}

static int
add(struct conversion_draft *d, const struct pushed *p, struct err *err)
{
    struct conversion_layer layer = {.blob = digest_named(p->blob),
                                     .size = p->size,
                                     .format = p->format,
                                     .diff_id = digest_named(p->diff_id)};

    return conversion_add(d, &layer, bytes_str(p->json), err);
}

/* A chain of n images, the base first. */
static struct made
convert(const struct pushed *const *images, size_t n)
{
    struct conversion_draft *d = conversion_begin();
    struct made m = {.rc = 0};

    assert_non_null(d);
    arena_init(&m.arena, 16u << 20);
    for (size_t i = 0; i < n && m.rc == 0; i++)
        m.rc = add(d, images[i], &m.err);
    if (m.rc == 0)
        m.rc = conversion_finish(d, &m.arena, &m.c, &m.err);
    conversion_free(d);
    return m;
}

static struct made
convert_json(const char *json)
{
    struct pushed p = image_a;
    const struct pushed *one = &p;

    p.json = json;
    return convert(&one, 1);
}

static void
assert_text(struct bytes got, const char *want)
{
    char *text = malloc(got.n + 1);

    assert_non_null(text);
    memcpy(text, got.p, got.n);
    text[got.n] = '\0';
    assert_string_equal(text, want);
    free(text);
}

static void
assert_digest(const struct digest *got, const char *want)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, got);
    assert_string_equal(text, want);
}

/* The config, of an image with nothing but these members and one layer. */
static void
becomes(const char *members, const char *want)
{
    struct made m;
    struct buf json, config;

    buf_init(&json, 1u << 20);
    buf_init(&config, 1u << 20);
    buf_putf(&json, "{\"id\":\"" ID_A "\"%s%s}", members[0] != '\0' ? "," : "", members);
    m = convert_json(buf_text(&json));
    if (m.rc != 0)
        fail_msg("%s: %s", members, m.err.message);
    buf_putf(&config, "{%s}", want);
    assert_text(m.c.config, buf_text(&config));
    buf_free(&json);
    buf_free(&config);
    arena_reset(&m.arena);
}

static void
is_refused(const char *members, const char *why)
{
    struct made m;
    struct buf json;

    buf_init(&json, 4u << 20);
    buf_putf(&json, "{\"id\":\"" ID_A "\"%s%s}", members[0] != '\0' ? "," : "", members);
    m = convert_json(buf_text(&json));
    if (m.rc == 0)
        fail_msg("%.100s: nothing was wrong with it", members);
    assert_int_equal(m.err.code, ERR_BAD_IMAGE);
    if (strstr(m.err.message, why) == NULL)
        fail_msg("%.100s: \"%s\" has no \"%s\"", members, m.err.message, why);
    buf_free(&json);
    arena_reset(&m.arena);
}

#define ARCHITECTURE "\"architecture\":\"amd64\","
#define ROOTFS_A \
    "\"rootfs\":{\"diff_ids\":[\"" DIFF_A "\"],\"type\":\"layers\"},\"v1_id\":\"" ID_A "\""
#define NO_CONFIG ARCHITECTURE "\"config\":{},"
/* What is behind `created` and the config's other members. */
#define REST                                             \
    "\"created\":\"1970-01-01T00:00:00Z\",\"history\":[" \
    "{\"created\":\"1970-01-01T00:00:00Z\"}],\"os\":\"linux\"," ROOTFS_A

/* ---- whole images ---- */

static void
an_image_of_old_becomes_these_bytes(void **state)
{
    static const struct pushed *const all[] = {&image_a, &image_b, &image_c, &image_e};
    struct made m = convert(all, 4);

    (void)state;
    assert_int_equal(m.rc, 0);
    assert_text(m.c.config,
                "{\"architecture\":\"amd64\",\"config\":{\"Cmd\":[\"/bin/true\"]},"
                "\"created\":\"2014-05-13T16:53:23Z\",\"history\":["
                "{\"created\":\"2014-05-13T16:53:20.000000001Z\","
                "\"created_by\":\"/bin/sh -c #(nop) ADD file in / && <true>\"},"
                "{\"created\":\"2014-05-13T16:53:21Z\"},"
                "{\"created\":\"2014-05-13T16:53:21Z\"},"
                "{\"created\":\"2014-05-13T16:53:23Z\"}],"
                "\"os\":\"linux\",\"rootfs\":{\"diff_ids\":[\"" DIFF_A "\",\"" DIFF_B "\",\"" DIFF_C
                "\",\"" DIFF_E "\"],\"type\":\"layers\"},\"v1_id\":\"" ID_E "\"}");
    assert_digest(&m.c.config_digest,
                  "sha256:2db44504a1c91605c0908f50acdcb0d745895d7a16f5d57543e9d696a6cb0eac");
    assert_text(
        m.c.manifest,
        "{\"schemaVersion\":2,"
        "\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\","
        "\"config\":{\"mediaType\":\"application/vnd.docker.container.image.v1+json\","
        "\"size\":731,\"digest\":\"sha256:"
        "2db44504a1c91605c0908f50acdcb0d745895d7a16f5d57543e9d696a6cb0eac\"},\"layers\":["
        "{\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar.gzip\",\"size\":268,"
        "\"digest\":\"sha256:08086f86510ba040c5e1d5026972b98d9b8f9c398e043bb0ca239c35d5d5a55b\"},"
        "{\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar.gzip\",\"size\":191,"
        "\"digest\":\"sha256:c1a4f6593fa06163d8c044a68c1b02a74692afb5fb16c4a10c82c8e3e272e773\"},"
        "{\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar\",\"size\":3584,"
        "\"digest\":\"sha256:86264edf0cf0f625eea3712bd27a894c16e38f60cf55223cc54bc62fd432bd30\"},"
        "{\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar.gzip\",\"size\":29,"
        "\"digest\":\"sha256:a1b1b81d3d1afdb8fe119b002318c12c20934713b9754a40f702adb18a2540b9\"}]"
        "}");
    assert_digest(&m.c.manifest_digest,
                  "sha256:e079597dfcc6c3e8278b839e589c54140201f7bf8ae44aa3435307425af937b9");
    arena_reset(&m.arena);
}

static void
what_docker_wrote_of_itself_stays_in_the_config(void **state)
{
    static const struct pushed *const one[] = {&image_a};
    struct made m = convert(one, 1);

    (void)state;
    assert_int_equal(m.rc, 0);
    assert_text(m.c.config,
                "{\"architecture\":\"amd64\",\"config\":{\"Env\":[\"A=1\"],\"Cmd\":[\"/bin/sh\"]},"
                "\"container_config\":{\"Cmd\":[\"/bin/sh\",\"-c\","
                "\"#(nop) ADD file in / && <true>\"]},"
                "\"created\":\"2014-05-13T16:53:20.000000001Z\",\"docker_version\":\"1.6.0\","
                "\"history\":[{\"created\":\"2014-05-13T16:53:20.000000001Z\","
                "\"created_by\":\"/bin/sh -c #(nop) ADD file in / && <true>\"}],"
                "\"os\":\"linux\"," ROOTFS_A "}");
    arena_reset(&m.arena);
}

static void
the_smallest_image_has_all_that_clients_ask_for(void **state)
{
    (void)state;
    becomes("", NO_CONFIG REST);
    becomes("\"config\":null,\"architecture\":\"\",\"os\":null", NO_CONFIG REST);
}

static void
each_compression_has_a_type_that_clients_know(void **state)
{
    static const struct {
        enum inflate_format format;
        const char *type;
    } rows[] = {
        {INFLATE_PLAIN, "diff.tar\""},      {INFLATE_GZIP, "diff.tar.gzip\""},
        {INFLATE_ZSTD, "diff.tar.gzip\""},  {INFLATE_XZ, "diff.tar.gzip\""},
        {INFLATE_BZIP2, "diff.tar.gzip\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pushed p = image_a;
        const struct pushed *one = &p;
        struct made m;

        p.format = rows[i].format;
        m = convert(&one, 1);
        assert_int_equal(m.rc, 0);
        assert_non_null(memmem(m.c.manifest.p, m.c.manifest.n, rows[i].type, strlen(rows[i].type)));
        arena_reset(&m.arena);
    }
}

/* ---- dates, history ---- */

static struct pushed
dated(const char *created)
{
    static char json[8][200];
    static size_t next;
    struct pushed p = image_a;
    char *text = json[next++ % 8];

    snprintf(text, sizeof json[0], "{\"id\":\"" ID_A "\"%s%s%s}",
             created != NULL ? ",\"created\":" : "", created != NULL ? created : "",
             created != NULL ? ",\"author\":\"A\",\"comment\":\"C\"" : "");
    p.json = text;
    return p;
}

static void
missing_dates_follow_from_those_that_are_there(void **state)
{
    struct pushed p[] = {dated(NULL), dated("\"never\""), dated("\"2014-01-01T00:00:00Z\""),
                         dated(NULL), dated("17")};
    const struct pushed *all[] = {&p[0], &p[1], &p[2], &p[3], &p[4]};
    struct made m = convert(all, 5);

    (void)state;
    assert_int_equal(m.rc, 0);
    assert_text(m.c.config,
                "{\"architecture\":\"amd64\",\"author\":\"A\",\"comment\":\"C\",\"config\":{},"
                "\"created\":\"2014-01-01T00:00:00Z\",\"history\":["
                "{\"created\":\"2014-01-01T00:00:00Z\"},"
                "{\"author\":\"A\",\"comment\":\"C\",\"created\":\"2014-01-01T00:00:00Z\"},"
                "{\"author\":\"A\",\"comment\":\"C\",\"created\":\"2014-01-01T00:00:00Z\"},"
                "{\"created\":\"2014-01-01T00:00:00Z\"},"
                "{\"author\":\"A\",\"comment\":\"C\",\"created\":\"2014-01-01T00:00:00Z\"}],"
                "\"os\":\"linux\",\"rootfs\":{\"diff_ids\":[\"" DIFF_A "\",\"" DIFF_A "\",\"" DIFF_A
                "\",\"" DIFF_A "\",\"" DIFF_A "\"],\"type\":\"layers\"},\"v1_id\":\"" ID_A "\"}");
    arena_reset(&m.arena);
}

static void
a_history_that_cannot_be_read_is_left_out(void **state)
{
    static const char *const bad[] = {
        "\"author\":7,\"comment\":[],\"container_config\":{\"Cmd\":{}}",
        "\"author\":\"a\\u0000b\",\"container_config\":{\"Cmd\":[\"a\",7]}",
        "\"container_config\":7",
        "\"container_config\":{\"cmd\":[\"a\"]}",
        "\"container_config\":{\"Cmd\":[\"a\",null]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        becomes(bad[i], NO_CONFIG REST);
    becomes("\"container_config\":{\"Cmd\":\"one word\"}",
            NO_CONFIG "\"container_config\":{\"Cmd\":[\"one word\"]},"
                      "\"created\":\"1970-01-01T00:00:00Z\",\"history\":["
                      "{\"created\":\"1970-01-01T00:00:00Z\",\"created_by\":\"one word\"}],"
                      "\"os\":\"linux\"," ROOTFS_A);
}

/* ---- what strangers write ---- */

static void
all_of_a_config_comes_through(void **state)
{
#define ALL                                                                                       \
    "{\"Hostname\":\"h\",\"Domainname\":\"\",\"User\":\"u\",\"AttachStdin\":false,"               \
    "\"AttachStdout\":true,\"AttachStderr\":false,\"ExposedPorts\":{\"80/tcp\":{}},"              \
    "\"Tty\":false,\"OpenStdin\":false,\"StdinOnce\":false,\"Env\":[\"A=\\\"1\\n\",\"B=ä€\"]," \
    "\"Cmd\":[\"a\",\"b\"],\"Image\":\"\",\"Volumes\":{\"/v\":{}},\"WorkingDir\":\"/w\","         \
    "\"Entrypoint\":null,\"NetworkDisabled\":false,\"MacAddress\":\"\",\"OnBuild\":[],"           \
    "\"Labels\":{\"l\":\"m\"},\"StopSignal\":\"9\",\"StopTimeout\":-1,\"Shell\":[\"/bin/sh\"],"   \
    "\"Healthcheck\":{\"Test\":[\"NONE\"],\"Interval\":1000000000,\"Retries\":3},"                \
    "\"ArgsEscaped\":true}"
    (void)state;
    becomes("\"config\":" ALL, ARCHITECTURE "\"config\":" ALL "," REST);
    becomes("\"config\":{\"Cmd\":\"/bin/sh\",\"Entrypoint\":\"e\"}",
            ARCHITECTURE "\"config\":{\"Cmd\":[\"/bin/sh\"],\"Entrypoint\":[\"e\"]}," REST);
    becomes("\"config\":{\"Cmd\":[\"a\"],\"Tty\":true,\"Cmd\":[\"b\"]}",
            ARCHITECTURE "\"config\":{\"Cmd\":[\"b\"],\"Tty\":true}," REST);
}

static void
what_decides_how_it_runs_has_to_be_of_its_type(void **state)
{
    static const char *const rows[][2] = {
        {"\"config\":7", "config is not an object"},
        {"\"config\":[]", "config is not an object"},
        {"\"config\":{\"User\":7}", "config.User must be a string"},
        {"\"config\":{\"User\":\"a\\u0000b\"}", "config.User must be a string"},
        {"\"config\":{\"user\":\"root\"}", "only case tells a member from config.User"},
        {"\"config\":{\"Tty\":\"yes\"}", "config.Tty must be true or false"},
        {"\"config\":{\"Env\":\"A=1\"}", "config.Env must be a list of strings"},
        {"\"config\":{\"Env\":[\"A=1\",7]}", "config.Env must be a list of strings"},
        {"\"config\":{\"Env\":[null]}", "config.Env must be a list of strings"},
        {"\"config\":{\"Cmd\":{}}", "config.Cmd must be a list of strings"},
        {"\"config\":{\"ExposedPorts\":{\"80/tcp\":7}}",
         "config.ExposedPorts must be an object of {}"},
        {"\"config\":{\"Volumes\":[\"/v\"]}", "config.Volumes must be an object of {}"},
        {"\"config\":{\"Labels\":{\"a\":1}}", "config.Labels must be an object of strings"},
        {"\"config\":{\"StopTimeout\":1.5}", "config.StopTimeout must be an integer"},
        {"\"config\":{\"StopTimeout\":99999999999999999999}",
         "config.StopTimeout must be an integer"},
        {"\"config\":{\"Healthcheck\":{\"Test\":\"x\"}}",
         "config.Healthcheck must be a healthcheck"},
        {"\"config\":{\"Healthcheck\":{\"test\":[]}}", "config.Healthcheck must be a healthcheck"},
        {"\"config\":{\"Healthcheck\":{\"Retries\":1e3}}",
         "config.Healthcheck must be a healthcheck"},
        {"\"Config\":{}", "only case tells a member from config"},
        {"\"OS\":\"linux\"", "only case tells a member from os"},
        {"\"os\":7", "os must be a string"},
        {"\"architecture\":{}", "architecture must be a string"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        is_refused(rows[i][0], rows[i][1]);
}

static void
what_nobody_knows_stays_only_where_docker_keeps_it(void **state)
{
#define UNKNOWN "\"new\":{\"a\":[1,-2,3.50,1e400,null,\"/\"]}"
    (void)state;
    becomes(UNKNOWN ",\"config\":{" UNKNOWN "}", NO_CONFIG REST);
    becomes("\"docker_version\":\"1.8.2\"," UNKNOWN ",\"config\":{" UNKNOWN "}", NO_CONFIG
            "\"created\":\"1970-01-01T00:00:00Z\",\"docker_version\":\"1.8.2\","
            "\"history\":[{\"created\":\"1970-01-01T00:00:00Z\"}],\"os\":\"linux\"," ROOTFS_A);
#define KEPT(version)                                                                     \
    becomes("\"docker_version\":\"" version "\"," UNKNOWN ",\"config\":{" UNKNOWN "}",    \
            ARCHITECTURE "\"config\":{" UNKNOWN "},\"created\":\"1970-01-01T00:00:00Z\"," \
                         "\"docker_version\":\"" version "\",\"history\":["               \
                         "{\"created\":\"1970-01-01T00:00:00Z\"}]," UNKNOWN               \
                         ",\"os\":\"linux\"," ROOTFS_A)
    KEPT("1.8.3");
    KEPT("1.10.0-dev");
    KEPT("28.2.2");
    KEPT("99999999999999999999");
}

static void
no_member_can_pass_for_another(void **state)
{
    (void)state;
    /* Clients in Go take "ID", and the long s and the kelvin sign for s and k. */
    becomes("\"docker_version\":\"9\",\"History\":[7],\"ROOTFS\":7,\"size\":7,\"Created\":7,"
            "\"o\\u017f\":7,\"PARENT\":\"x\",\"author\":7,\"variant\":[],\"os.features\":\"x\","
            "\"huge\":99999999999999999999,\"config\":{\"U\\u017fer\":\"root\",\"\\u212a\":1}",
            NO_CONFIG
            "\"created\":\"1970-01-01T00:00:00Z\",\"docker_version\":\"9\","
            "\"history\":[{\"created\":\"1970-01-01T00:00:00Z\"}],\"os\":\"linux\"," ROOTFS_A);
}

static void
too_much_is_refused(void **state)
{
    const struct pushed *many[CONVERSION_LAYERS_MAX + 1];
    struct buf members;
    struct made m;

    (void)state;
    for (size_t i = 0; i <= CONVERSION_LAYERS_MAX; i++)
        many[i] = &image_a;
    m = convert(many, CONVERSION_LAYERS_MAX);
    assert_int_equal(m.rc, 0);
    assert_in_range(m.c.manifest.n, 20000, 64 * 1024); /* stands in table content */
    arena_reset(&m.arena);
    m = convert(many, CONVERSION_LAYERS_MAX + 1);
    assert_int_equal(m.rc, -1);
    assert_int_equal(m.err.code, ERR_BAD_IMAGE);
    assert_non_null(strstr(m.err.message, "more than 127 layers"));
    arena_reset(&m.arena);

    buf_init(&members, 3u << 20);
    buf_puts(&members, "\"docker_version\":\"9\"");
    for (unsigned i = 0; i < IMAGE_CONFIG_MEMBERS_MAX; i++)
        buf_putf(&members, ",\"m%u\":1", i);
    is_refused(buf_text(&members), "too many members");
    buf_reset(&members);
    buf_puts(&members, "\"comment\":\"");
    for (size_t i = 0; i < CONVERSION_CONFIG_MAX + 1; i++)
        buf_putc(&members, 'x');
    buf_puts(&members, "\"");
    is_refused(buf_text(&members), "its history has more than 1048576 bytes");
    buf_reset(&members);
    buf_puts(&members, "\"config\":{\"User\":\"");
    for (size_t i = 0; i < CONVERSION_CONFIG_MAX - 100; i++)
        buf_putc(&members, 'x');
    buf_puts(&members, "\"}");
    is_refused(buf_text(&members), "its config has more than 1048576 bytes");
    buf_reset(&members);
    buf_puts(&members, "\"config\":{\"Env\":[\"\"");
    for (size_t i = 0; i < 10000; i++)
        buf_puts(&members, ",\"\"");
    buf_puts(&members, "]}");
    is_refused(buf_text(&members), "its config has more than 10000 values");
    buf_free(&members);
}

static void
what_is_no_json_is_refused(void **state)
{
    static const char *const bad[] = {"", "[]", "null", "{", "{\"a\":\xff}", "\"x\""};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct made m = convert_json(bad[i]);

        assert_int_equal(m.rc, -1);
        assert_int_equal(m.err.code, ERR_BAD_IMAGE);
        assert_non_null(strstr(m.err.message, "its JSON"));
        arena_reset(&m.arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_of_old_becomes_these_bytes),
        cmocka_unit_test(what_docker_wrote_of_itself_stays_in_the_config),
        cmocka_unit_test(the_smallest_image_has_all_that_clients_ask_for),
        cmocka_unit_test(each_compression_has_a_type_that_clients_know),
        cmocka_unit_test(missing_dates_follow_from_those_that_are_there),
        cmocka_unit_test(a_history_that_cannot_be_read_is_left_out),
        cmocka_unit_test(all_of_a_config_comes_through),
        cmocka_unit_test(what_decides_how_it_runs_has_to_be_of_its_type),
        cmocka_unit_test(what_nobody_knows_stays_only_where_docker_keeps_it),
        cmocka_unit_test(no_member_can_pass_for_another),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(what_is_no_json_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
