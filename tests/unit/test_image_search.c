#include "store_fixture.h"
#include <stdio.h>
#include <string.h>
#include "domain/inside/image_search.h"
#include "util/clock.h"

/* A search in all images always gets on, and ends. */

#define HITS_TEXT 100

static const struct actor everybody = {.user = "", .address = "", .administrator = true};

static void
push_labelled(struct fixture *f, const char *tag, const char *label)
{
    char config[100], digest[DIGEST_TEXT_MAX];
    const char *text;
    struct digest c;
    struct push p;

    snprintf(config, sizeof config, "{\"config\":{\"Labels\":{\"of\":\"%s\"}}}", label);
    c = fixture_blob(f, "a/b", config);
    digest_text(digest, &c);
    text = arena_printf(&f->arena,
                        "{\"schemaVersion\":2,\"mediaType\":\"" OCI_IMAGE "\",\"config\":"
                        "{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
                        "\"digest\":\"%s\",\"size\":%zu},\"layers\":[]}",
                        digest, strlen(config));
    assert_non_null(text);
    OK(f, fixture_push(f, "a/b", tag, text, OCI_IMAGE, &p));
    fixture_forward_ms(1000);
}

static int
note_search_hit(void *arg, const struct image_search_hit *hit, struct err *err)
{
    char *text = arg;
    size_t n = strlen(text);

    (void)err;
    snprintf(text + n, HITS_TEXT - n, "%s%s", hit->tag, hit->label);
    return 0;
}

struct searched {
    char text[HITS_TEXT];
    unsigned pages;
    uint64_t images, skipped;
};

/* Goes on until the end, or to the tenth page. */
static void
search_label(struct fixture *f, int64_t ms, size_t limit, struct searched *out)
{
    struct image_label label;
    struct image_search s = {.reg = &f->reg,
                             .actor = &everybody,
                             .label = &label,
                             .limit = limit,
                             .fn = note_search_hit,
                             .arg = out->text};

    *out = (struct searched){.pages = 0};
    OK(f, image_label_parse(&label, "of", &f->err));
    do {
        s.until = clock_mono_ms() + (uint64_t)ms;
        OK(f, image_search_run(&s, &f->err));
        s.after = s.last;
        out->images += s.images;
        out->skipped += s.skipped;
    } while (++out->pages < 10 && s.more);
}

static void
pages_follow_one_another(void **state)
{
    struct fixture *f = *state;
    struct searched is;

    push_labelled(f, "1", "x");
    push_labelled(f, "2", "y");
    push_labelled(f, "3", "z");
    search_label(f, 60000, 100, &is);
    assert_string_equal(is.text, "3z2y1x");
    assert_int_equal(is.pages, 1);
    search_label(f, 60000, 1, &is);
    assert_string_equal(is.text, "3z2y1x");
    assert_int_equal(is.pages, 3);
    assert_int_equal(is.skipped, 0);
}

/* Without any time, each page passes over a tag that it can't look at. */
static void
a_search_without_time_ends(void **state)
{
    struct fixture *f = *state;
    struct searched is;

    push_labelled(f, "1", "x");
    push_labelled(f, "2", "y");
    search_label(f, -1000, 100, &is);
    assert_string_equal(is.text, "");
    assert_int_equal(is.pages, 3); /* the last one has none */
    assert_int_equal(is.skipped, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_store, fixture_done)
        T(pages_follow_one_another),
        T(a_search_without_time_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
