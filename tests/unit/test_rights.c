/* An actor with few rights asks functions that look beyond one repository. */
#include "v1_images.h"
#include <string.h>
#include "domain/access/sealed_name.h"
#include "domain/access/token_key.h"
#include "domain/core/blob.h"
#include "domain/core/catalog.h"
#include "domain/core/delete.h"
#include "domain/core/repository.h"
#include "domain/v1/image_by_id.h"
#include "domain/v1/image_push.h"
#include "domain/v1/image_seen.h"
#include "domain/v1/image_tag.h"

static const struct catalog_filter all_names = {.prefix = NULL};

static const struct actor bob = {.user = "bob", .address = "192.0.2.2"};
static const struct actor ci = {.user = "ci", .address = "192.0.2.3"};

#define RULES                \
    "** alice all\n"         \
    "shared/** * pull\n"     \
    "bob/** bob pull,push\n" \
    "ci/** ci pull,create\n" \
    "ci/** bob overwrite\n"

/* ---- tags ---- */

static int
push_as(struct fixture *f, const struct actor *actor, const char *repository, const char *tag,
        const char *document)
{
    const char *tags[] = {tag};
    struct push p = {.repository = repository,
                     .tags = tags,
                     .tags_n = tag != NULL ? 1 : 0,
                     .document = bytes_str(document),
                     .content_type = OCI_IMAGE,
                     .actor = actor};

    if (tag == NULL)
        p.digest = fixture_digest(document);
    return push_manifest(&f->reg, &p, &f->arena, &f->err);
}

static void
who_may_create_adds_tags_and_moves_none(void **state)
{
    struct fixture *f = *state;
    struct digest blob = fixture_blob(f, "ci/app", "blob");
    const char *one = fixture_image(f, &blob, &blob, "");
    const char *two = fixture_image(f, &blob, &blob, ",\"annotations\":{\"a\":\"b\"}");

    fixture_rules(f, RULES, NULL, NULL);
    OK(f, push_as(f, &ci, "ci/app", "v1", one));
    OK(f, push_as(f, &ci, "ci/app", "v1", one)); /* the tag stays where it is */
    REFUSED(f, push_as(f, &ci, "ci/app", "v1", two), ERR_DENIED);
    OK(f, push_as(f, &ci, "ci/app", NULL, two));
    OK(f, push_as(f, &ci, "ci/app", "v2", two));
    REFUSED(f, push_as(f, &bob, "ci/app", "v3", two), ERR_DENIED);
    OK(f, push_as(f, &bob, "ci/app", "v1", two));
    OK(f, delete_tag(&f->reg, "ci/app", "v1", NULL, &v1_alice, &f->arena, &f->err));
    REFUSED(f, push_as(f, &bob, "ci/app", "v1", one), ERR_DENIED);
    OK(f, push_as(f, &ci, "ci/app", "v1", one));
}

static void
tags_of_the_first_api_need_the_same_rights(void **state)
{
    struct fixture *f = *state;
    struct digest one = v1_id(1), two = v1_id(2);

    fixture_rules(f, RULES, NULL, NULL);
    v1_push(f, 1, 0, "layer");
    v1_push(f, 2, 0, "other");
    OK(f, v1_tag(f, "shared/a", "one", 1));
    OK(f, v1_tag(f, "shared/a", "two", 2));
    OK(f, image_tag_put(&f->reg, "ci/app", "v1", &one, NULL, &ci, &f->arena, &f->err));
    REFUSED(f, image_tag_put(&f->reg, "ci/app", "v1", &two, NULL, &ci, &f->arena, &f->err),
            ERR_DENIED);
}

/* ---- blobs ---- */

static void
blobs_are_mounted_only_from_what_may_be_pulled(void **state)
{
    struct fixture *f = *state;
    struct digest secret = fixture_blob(f, "secret/a", "secret");
    struct digest both = fixture_blob(f, "secret/a", "both");

    fixture_blob(f, "secret/b", "both");
    fixture_blob(f, "shared/c", "both");
    fixture_rules(f, RULES, NULL, NULL);
    assert_int_equal(blob_mount(&f->reg, &bob, "bob/a", NULL, &secret, &f->err), 0);
    assert_false(fixture_has_blob(f, "bob/a", &secret));
    assert_int_equal(blob_mount(&f->reg, &bob, "bob/a", NULL, &both, &f->err), 1);
    assert_int_equal(blob_mount(&f->reg, &v1_alice, "bob/a", NULL, &secret, &f->err), 1);
}

/* ---- images by id ---- */

static int
sees(struct fixture *f, const struct actor *actor, unsigned n, enum image_use use)
{
    struct digest id = v1_id(n);
    int rc = image_seen(&f->reg, actor, &id, use, &f->err);

    assert_in_range(rc, 0, 1);
    return rc;
}

static void
images_are_seen_in_a_repository_that_may_be_pulled(void **state)
{
    struct fixture *f = *state;

    fixture_rules(f, "** alice push\nshared/** * pull\nbob/** bob pull,push\n", NULL, NULL);
    v1_push(f, 1, 0, "layer");
    assert_true(sees(f, &v1_alice, 1, IMAGE_READ)); /* she is pushing it */
    assert_false(sees(f, &bob, 1, IMAGE_READ));
    OK(f, v1_tag(f, "secret/a", "v1", 1));
    assert_false(sees(f, &bob, 1, IMAGE_READ));
    assert_false(sees(f, &v1_alice, 1, IMAGE_READ));
    assert_true(sees(f, &v1_alice, 1, IMAGE_BUILD_UPON));
    OK(f, v1_tag(f, "shared/b", "v1", 1));
    assert_true(sees(f, &bob, 1, IMAGE_READ));
    assert_true(sees(f, &bob, 1, IMAGE_BUILD_UPON));
    assert_false(sees(f, &bob, 9, IMAGE_READ));
}

static int
put_child(struct fixture *f, const struct actor *actor, unsigned n, unsigned parent)
{
    const char *json = v1_json(f, n, parent, "");
    struct digest id = v1_id(n);

    return image_push_json(&f->reg, &id, bytes_str(json), actor, &f->err);
}

/* Otherwise a tag upon it would make the layers of the parent readable. */
static void
nothing_is_built_upon_or_tagged_that_is_not_seen(void **state)
{
    struct fixture *f = *state;
    struct digest one = v1_id(1);

    fixture_rules(f, RULES, NULL, NULL);
    v1_push(f, 1, 0, "layer");
    OK(f, v1_tag(f, "secret/a", "v1", 1));
    REFUSED(f, put_child(f, &bob, 2, 1), ERR_BAD_IMAGE);
    assert_string_equal(f->err.message, "Image depends on a non existing parent");
    REFUSED(f, put_child(f, &bob, 2, 9), ERR_BAD_IMAGE);
    assert_string_equal(f->err.message, "Image depends on a non existing parent");
    REFUSED(f, image_tag_put(&f->reg, "bob/a", "v1", &one, NULL, &bob, &f->arena, &f->err),
            ERR_NO_IMAGE);
    OK(f, v1_tag(f, "shared/a", "v1", 1));
    OK(f, put_child(f, &bob, 2, 1));
    OK(f, image_tag_put(&f->reg, "bob/a", "v1", &one, NULL, &bob, &f->arena, &f->err));
}

/* An image of the second API, pushed by alice. Its id is the digest of its config. */
static struct digest
push_one_layer(struct fixture *f, const char *repository)
{
    static const char text[] =
        "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:"
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"]}"
        "}";
    struct digest layer = fixture_blob(f, repository, "layer");
    struct digest config = fixture_blob(f, repository, text);
    char one[DIGEST_TEXT_MAX], two[DIGEST_TEXT_MAX];

    digest_text(one, &config);
    digest_text(two, &layer);
    OK(f, push_as(f, &v1_alice, repository, "v1",
                  arena_printf(&f->arena,
                               "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/"
                               "vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":1},"
                               "\"layers\":[{\"mediaType\":\"application/"
                               "vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":5}]}",
                               one, two)));
    config.algo = DIGEST_V1_ID;
    return config;
}

static void
manifests_are_found_by_id_only_where_they_may_be_pulled(void **state)
{
    struct fixture *f = *state;
    struct digest id = push_one_layer(f, "secret/a");
    struct image_view v;

    fixture_rules(f, RULES, NULL, NULL);
    assert_int_equal(image_by_id_find(&f->reg, &bob, &id, NULL, &f->arena, &v, &f->err), 0);
    assert_int_equal(image_by_id_find(&f->reg, &v1_alice, &id, NULL, &f->arena, &v, &f->err), 1);
    push_one_layer(f, "shared/a");
    assert_int_equal(image_by_id_find(&f->reg, &bob, &id, NULL, &f->arena, &v, &f->err), 1);
}

/* ---- lists ---- */

static const char *
walk_catalog(struct fixture *f, const struct actor *actor, size_t limit, unsigned *pages)
{
    const char *all = "", *after = "";
    struct catalog_page page;

    *pages = 0;
    do {
        OK(f, catalog_list(&f->reg, actor, &all_names, after, limit, &f->arena, &page, &f->err));
        for (size_t i = 0; i < page.n; i++)
            all = arena_printf(&f->arena, "%s%s ", all, page.names[i]);
        if (page.n > 0)
            after = page.names[page.n - 1];
        if (page.hidden != NULL)
            after = page.hidden;
        ++*pages;
    } while (page.more);
    return all;
}

static void
lists_have_what_may_be_pulled(void **state)
{
    static const char *const names[] = {"a", "bob/x", "ci/y", "shared/a", "shared/b/c", "z"};
    struct fixture *f = *state;
    struct catalog_found found;
    unsigned pages;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct digest blob = fixture_blob(f, names[i], "blob");

        OK(f, push_as(f, &v1_alice, names[i], "v1", fixture_image(f, &blob, &blob, "")));
    }
    fixture_rules(f, RULES, NULL, NULL);
    for (size_t limit = 1; limit < 5; limit++)
        assert_string_equal(walk_catalog(f, &bob, limit, &pages), "bob/x shared/a shared/b/c ");
    assert_string_equal(walk_catalog(f, &ci, 10, &pages), "ci/y shared/a shared/b/c ");
    assert_string_equal(walk_catalog(f, &v1_alice, 10, &pages),
                        "a bob/x ci/y shared/a shared/b/c z ");
    OK(f, catalog_search(&f->reg, &bob, "a", 0, 10, &f->arena, &found, &f->err));
    assert_int_equal(found.total, 2);
    assert_string_equal(found.names[0], "shared/a");
}

/* ---- sealed names ---- */

static void
a_sealed_name_is_read_only_by_who_has_the_key(void **state)
{
    struct fixture *f = *state;
    struct token_keys keys = {.now = {{1}}}, others = {.now = {{2}}};
    struct registry reg = {.dirfd = -1, .token_keys = &keys};
    struct registry other = {.dirfd = -1, .token_keys = &others};
    char sealed[SEALED_NAME_TEXT], again[SEALED_NAME_TEXT], name[RECORD_REPOSITORY_MAX + 1];
    char longest[RECORD_REPOSITORY_MAX + 1];

    (void)f;
    memset(longest, 'x', RECORD_REPOSITORY_MAX);
    longest[RECORD_REPOSITORY_MAX] = '\0';
    assert_true(sealed_name_make(&reg, "secret/name", sealed));
    assert_true(sealed_name_make(&reg, longest, again));
    assert_int_equal(strlen(sealed), strlen(again)); /* the length tells nothing */
    assert_true(sealed_name_open(&reg, again, name));
    assert_string_equal(name, longest);
    assert_true(sealed_name_open(&reg, sealed, name));
    assert_string_equal(name, "secret/name");
    assert_false(sealed_name_open(&other, sealed, name));
    assert_true(sealed_name_make(&reg, "secret/name", again));
    assert_string_not_equal(sealed, again);
    for (size_t i = 0; i < strlen(sealed); i += 7) {
        char was = sealed[i];

        sealed[i] = was == '0' ? '1' : '0';
        assert_false(sealed_name_open(&reg, sealed, name));
        sealed[i] = was;
    }
    sealed[strlen(sealed) - 1] = '\0';
    assert_false(sealed_name_open(&reg, sealed, name));
    assert_false(sealed_name_open(&reg, "", name));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_store, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_may_create_adds_tags_and_moves_none),
        TEST(tags_of_the_first_api_need_the_same_rights),
        TEST(blobs_are_mounted_only_from_what_may_be_pulled),
        TEST(images_are_seen_in_a_repository_that_may_be_pulled),
        TEST(nothing_is_built_upon_or_tagged_that_is_not_seen),
        TEST(manifests_are_found_by_id_only_where_they_may_be_pulled),
        TEST(lists_have_what_may_be_pulled),
        TEST(a_sealed_name_is_read_only_by_who_has_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
