#include "v1_images.h"
#include <string.h>
#include <unistd.h>
#include "domain/core/delete.h"
#include "domain/core/garbage.h"
#include "domain/v1/image.h"
#include "domain/v1/image_of_manifest.h"
#include "domain/v1/image_ids.h"
#include "domain/v1/image_push.h"
#include "domain/v1/image_tag.h"
#include "domain/v1/image_by_id.h"
#include "domain/v1/image_view.h"
#include "domain/core/repository.h"
#include "domain/inside/index_job.h"
#include "storage/layers/index_file.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl_tag.h"
#include "util/fdio.h"

#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_LAYER "application/vnd.oci.image.layer.v1.tar+gzip"

/* A config of two layers, whose diff ids it makes up. */
static struct digest
push_config(struct fixture *f, const char *repository, const char *note)
{
    struct digest one = fixture_digest("one"), two = fixture_digest("two");
    char a[DIGEST_TEXT_MAX], b[DIGEST_TEXT_MAX];

    digest_text(a, &one);
    digest_text(b, &two);
    return fixture_blob(f, repository,
                        arena_printf(&f->arena,
                                     "{\"note\":\"%s\",\"rootfs\":{\"type\":\"layers\","
                                     "\"diff_ids\":[\"%s\",\"%s\"]}}",
                                     note, a, b));
}

static struct digest
push_image(struct fixture *f, const char *repository, const struct digest *config)
{
    struct digest low = fixture_blob(f, repository, "low"),
                  top = fixture_blob(f, repository, "top");
    char c[DIGEST_TEXT_MAX], a[DIGEST_TEXT_MAX], b[DIGEST_TEXT_MAX];
    struct push p;

    digest_text(c, config);
    digest_text(a, &low);
    digest_text(b, &top);
    OK(f,
       fixture_push(
           f, repository, "v1",
           arena_printf(&f->arena,
                        "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" OCI_CONFIG
                        "\",\"digest\":\"%s\",\"size\":1},\"layers\":[{\"mediaType\":\"" OCI_LAYER
                        "\",\"digest\":\"%s\",\"size\":3},{\"mediaType\":\"" OCI_LAYER
                        "\",\"digest\":\"%s\",\"size\":3}]}",
                        c, a, b),
           OCI_IMAGE, &p));
    return p.digest;
}

static struct digest
id_of(const struct digest *d)
{
    struct digest id;

    assert_true(image_ids_from(d, &id));
    return id;
}

static struct digest
chain_id(void)
{
    struct digest one = fixture_digest("one"), two = fixture_digest("two"), both;
    char text[2 * DIGEST_TEXT_MAX];

    digest_text(text, &one);
    text[strlen(text) + 1] = '\0';
    text[strlen(text)] = ' ';
    digest_text(text + strlen(text), &two);
    digest_of(&both, DIGEST_SHA256, bytes_str(text));
    return id_of(&both);
}

static int
see_edge(const struct edge *e, void *arg, struct err *err)
{
    (void)e;
    (void)err;
    ++*(size_t *)arg;
    return 0;
}

/* How many manifests have that id. */
static size_t
holders(struct fixture *f, struct digest id)
{
    size_t n = 0;

    for (enum edge_kind kind = EDGE_ID; kind <= EDGE_ID_UNSURE; kind++)
        if (kind != EDGE_ID_OWN)
            OK(f, tbl_edge_each(kv_reads(f->reg.kv), &id, kind, 0, NULL, see_edge, &n, &f->err));
    return n;
}

static int
see_target(const struct digest *to, void *arg, struct err *err)
{
    (void)err;
    assert_int_equal(to->algo, DIGEST_V1_ID);
    ++*(size_t *)arg;
    return 0;
}

static size_t
ids_in_all(struct fixture *f)
{
    struct digest from = {.algo = DIGEST_V1_ID};
    size_t n = 0;

    for (enum edge_kind kind = EDGE_ID; kind <= EDGE_ID_UNSURE; kind++)
        if (kind != EDGE_ID_OWN)
            OK(f, tbl_edge_each_target(kv_reads(f->reg.kv), kind, &from, see_target, &n, &f->err));
    return n;
}

static void
an_image_has_the_id_of_its_config_and_those_of_its_layers(void **state)
{
    struct fixture *f = *state;
    struct digest config = push_config(f, "a/b", "x"), one = fixture_digest("one");
    struct digest manifest = push_image(f, "a/b", &config);

    assert_int_equal(holders(f, id_of(&config)), 1);
    assert_int_equal(holders(f, id_of(&one)), 1);
    assert_int_equal(holders(f, chain_id()), 1);
    assert_int_equal(holders(f, id_of(&manifest)), 0);
    assert_int_equal(ids_in_all(f), 3);
    push_image(f, "a/b", &config);
    assert_int_equal(holders(f, id_of(&config)), 1);
    OK(f, delete_tag(&f->reg, "a/b", "v1", NULL, &v1_alice, &f->arena, &f->err));
    assert_int_equal(ids_in_all(f), 3);
    OK(f, delete_manifest(&f->reg, "a/b", &manifest, NULL, &v1_alice, &f->arena, &f->err));
    assert_int_equal(ids_in_all(f), 0);
}

static void
images_upon_the_same_layers_share_their_ids(void **state)
{
    struct fixture *f = *state;
    struct digest x = push_config(f, "a/b", "x"), one = fixture_digest("one");
    struct digest first = push_image(f, "a/b", &x), y, second;

    push_config(f, "c/d", "x");
    push_image(f, "c/d", &x);
    y = push_config(f, "a/b", "y");
    second = push_image(f, "a/b", &y);
    assert_int_equal(holders(f, id_of(&x)), 2);
    assert_int_equal(holders(f, id_of(&y)), 1);
    assert_int_equal(holders(f, id_of(&one)), 3);
    assert_int_equal(ids_in_all(f), 4);
    OK(f, delete_manifest(&f->reg, "a/b", &first, NULL, &v1_alice, &f->arena, &f->err));
    assert_int_equal(holders(f, id_of(&x)), 1);
    OK(f, delete_manifest(&f->reg, "c/d", &first, NULL, &v1_alice, &f->arena, &f->err));
    assert_int_equal(holders(f, id_of(&x)), 0);
    assert_int_equal(holders(f, id_of(&one)), 1);
    OK(f, delete_manifest(&f->reg, "a/b", &second, NULL, &v1_alice, &f->arena, &f->err));
    assert_int_equal(ids_in_all(f), 0);
}

static void
what_is_no_image_is_called_by_itself(void **state)
{
    struct fixture *f = *state;
    struct digest blob = fixture_blob(f, "a/b", "blob");
    struct push artifact, index;

    OK(f, fixture_push(f, "a/b", NULL, fixture_image(f, &blob, &blob, ",\"artifactType\":\"a/b\""),
                       OCI_IMAGE, &artifact));
    OK(f, fixture_push(f, "a/b", "v1", fixture_index(f, &artifact.digest), OCI_INDEX, &index));
    assert_int_equal(holders(f, id_of(&artifact.digest)), 1);
    assert_int_equal(holders(f, id_of(&index.digest)), 1);
    assert_int_equal(ids_in_all(f), 2);
    OK(f, delete_manifest(&f->reg, "a/b", &index.digest, NULL, &v1_alice, &f->arena, &f->err));
    OK(f, delete_manifest(&f->reg, "a/b", &artifact.digest, NULL, &v1_alice, &f->arena, &f->err));
    assert_int_equal(ids_in_all(f), 0);
}

static void
a_config_that_tells_no_layers_leaves_the_image_its_own_id(void **state)
{
    struct fixture *f = *state;
    struct digest config = fixture_blob(f, "a/b", "no JSON");
    struct digest manifest = push_image(f, "a/b", &config);

    assert_int_equal(holders(f, id_of(&config)), 1);
    assert_int_equal(ids_in_all(f), 1);
    OK(f, delete_manifest(&f->reg, "a/b", &manifest, NULL, &v1_alice, &f->arena, &f->err));
    assert_int_equal(ids_in_all(f), 0);
}

/* docker from 1.10 on pushes an image to a registry of the first API under the same ids. */
static void
a_v1_image_of_the_same_id_takes_no_id_with_it(void **state)
{
    struct fixture *f = *state;
    struct digest config = push_config(f, "a/b", "x"), first = fixture_digest("one");
    struct digest one = id_of(&first);
    char hex[DIGEST_TEXT_MAX];

    digest_hex(hex, &one);
    OK(f, image_push_json(&f->reg, &one, bytes_str(arena_printf(&f->arena, "{\"id\":\"%s\"}", hex)),
                          &v1_alice, &f->err));
    push_image(f, "a/b", &config);
    fixture_forward_ms(1000ull * 3600 * 24);
    for (int i = 0; i < 3; i++)
        OK(f, garbage_step(&f->reg, &f->err));
    assert_int_equal(holders(f, one), 1);
}

/* ---- tags by these ids ---- */

static int
put(struct fixture *f, const char *repository, const struct digest *d)
{
    struct digest id = id_of(d);

    return image_tag_put(&f->reg, repository, "new", &id, NULL, &v1_alice, &f->arena, &f->err);
}

/* Writes the index of a layer that has that diff id; DIGEST_NONE: it can't be read to its end. */
static void
look_into(struct fixture *f, const char *layer, struct digest diff_id)
{
    struct layer_info info = {
        .layer = fixture_digest(layer), .browsable = false, .diff_id = diff_id};
    int fd = index_file_create(f->reg.dirfd, &f->err);
    struct layer_index_writer *w;

    assert_true(fd >= 0);
    w = layer_index_create(fd);
    OK(f, layer_index_put_info(w, &info, &f->err));
    OK(f, layer_index_finish(w, &f->err));
    layer_index_free(w);
    OK(f, index_file_publish(f->reg.dirfd, fd, &info.layer, &f->err));
    fdio_close(fd);
}

/* Where the tag stands in that repository. */
static struct digest
target(struct fixture *f, const char *repository)
{
    struct rec_repo repo;
    struct rec_tag r;

    assert_int_equal(repository_find(&f->reg, repository, &repo, &f->err), 1);
    assert_int_equal(tbl_tag_get(kv_reads(f->reg.kv), repo.id, "new", &r, &f->err), 1);
    return r.target;
}

static void
a_tag_that_is_put_by_an_id_leads_to_the_manifest(void **state)
{
    struct fixture *f = *state;
    struct digest config = push_config(f, "a/b", "x"), one = fixture_digest("one"), is;
    struct digest manifest = push_image(f, "a/b", &config);
    struct push index;
    struct rec_repo none;

    OK(f, fixture_push(f, "a/b", "i", fixture_index(f, &manifest), OCI_INDEX, &index));
    OK(f, put(f, "a/b", &config));
    is = target(f, "a/b");
    assert_true(digest_equal(&is, &manifest));
    OK(f, put(f, "a/b", &index.digest));
    is = target(f, "a/b");
    assert_true(digest_equal(&is, &index.digest));

    REFUSED(f, put(f, "a/b", &one), ERR_NO_IMAGE); /* has no manifest of its own */
    REFUSED(f, put(f, "c/d", &index.digest), ERR_NO_IMAGE);
    assert_non_null(strstr(f->err.message, "there is no image"));
    assert_int_equal(repository_find(&f->reg, "c/d", &none, &f->err), 0);
    REFUSED(f, put(f, "e/f", &config), ERR_BUSY); /* it would come from the other repository */
    look_into(f, "low", fixture_digest("one"));
    look_into(f, "top", fixture_digest("two"));
    OK(f, put(f, "e/f", &config));
    is = target(f, "e/f");
    assert_true(digest_equal(&is, &manifest));
    OK(f, delete_manifest(&f->reg, "e/f", &manifest, NULL, &v1_alice, &f->arena, &f->err));
    OK(f, delete_manifest(&f->reg, "a/b", &index.digest, NULL, &v1_alice, &f->arena, &f->err));
    OK(f, delete_manifest(&f->reg, "a/b", &manifest, NULL, &v1_alice, &f->arena, &f->err));
    REFUSED(f, put(f, "a/b", &config), ERR_NO_IMAGE);
    assert_int_equal(ids_in_all(f), 0);
}

/* ---- and images that are built upon them ---- */

static int
is_there(struct fixture *f, const struct digest *id)
{
    struct rec_image r;

    return tbl_image_get(kv_reads(f->reg.kv), id, &r, &f->err);
}

/* The ids that remain of an image whose layers have those diff ids: its own, and those of its
 * topmost and its lowest layer. */
static void
settle(struct fixture *f, struct digest low, struct digest top, enum edge_kind expected[3])
{
    struct digest config = push_config(f, "a/b", "x"), first = fixture_digest("one");
    struct digest manifest = push_image(f, "a/b", &config);
    struct digest ids[3] = {id_of(&config), chain_id(), id_of(&first)};
    struct index_job_end end = {.job.job = {.kind = JOB_INDEX_IMAGE, .digest = manifest},
                                .job.record.repository = "a/b"};

    look_into(f, "low", low);
    look_into(f, "top", top);
    for (int i = 0; i < 2; i++) /* the second time changes nothing */
        OK(f, index_job_done(&f->reg, &end, 1, &f->err));
    push_image(f, "a/b", &config); /* nor does it when it's pushed again */
    for (int i = 0; i < 3; i++)
        for (enum edge_kind kind = EDGE_ID; kind <= EDGE_ID_UNSURE; kind++)
            assert_int_equal(tbl_edge_any(kv_reads(f->reg.kv), &ids[i], kind, &f->err),
                             kind == expected[i] ||
                                 (i == 0 && kind == EDGE_ID_OWN && expected[0] != 0));
    OK(f, delete_manifest(&f->reg, "a/b", &manifest, NULL, &v1_alice, &f->arena, &f->err));
    assert_int_equal(ids_in_all(f), 0);
    OK(f, index_job_done(&f->reg, &end, 1, &f->err)); /* it has gone meanwhile */
    assert_int_equal(ids_in_all(f), 0);
}

static void
ids_are_settled_when_the_layers_are_known(void **state)
{
    struct digest one = fixture_digest("one"), two = fixture_digest("two");

    settle(*state, one, two, (enum edge_kind[]){EDGE_ID_PROVEN, EDGE_ID_PROVEN, EDGE_ID_PROVEN});
}

static void
false_ids_go(void **state)
{
    struct digest two = fixture_digest("two");

    settle(*state, two, two, (enum edge_kind[]){0, 0, 0});
}

static void
only_what_stands_upon_a_false_layer_is_false(void **state)
{
    struct digest one = fixture_digest("one");

    settle(*state, one, one, (enum edge_kind[]){0, 0, EDGE_ID_PROVEN});
}

static void
what_cannot_be_read_stays_unsure(void **state)
{
    struct digest one = fixture_digest("one"), none = {.algo = DIGEST_NONE};

    settle(*state, one, none, (enum edge_kind[]){EDGE_ID_UNSURE, EDGE_ID_UNSURE, EDGE_ID_PROVEN});
}

/* The keeper stores what it has found for good, and a failure is no finding. */
static void
an_index_that_fails_leaves_the_ids_open(void **state)
{
    struct fixture *f = *state;
    struct digest config = push_config(f, "a/b", "x"), top = fixture_digest("top");
    struct digest manifest = push_image(f, "a/b", &config), id = id_of(&config);
    struct index_job_end end = {.job.job = {.kind = JOB_INDEX_IMAGE, .digest = manifest},
                                .job.record.repository = "a/b"};
    char path[INDEX_FILE_PATH_MAX];
    struct image_view v;

    look_into(f, "low", fixture_digest("one"));
    look_into(f, "top", fixture_digest("two"));
    index_file_path(path, &top);
    assert_int_equal(renameat(f->reg.dirfd, path, f->reg.dirfd, "aside"), 0);
    assert_int_equal(symlinkat("loop", f->reg.dirfd, path), 0); /* can't be opened */
    OK(f, index_job_done(&f->reg, &end, 1, &f->err));
    assert_int_equal(tbl_edge_any(kv_reads(f->reg.kv), &id, EDGE_ID, &f->err), 1);
    assert_int_equal(image_by_id_find(&f->reg, NULL, &id, NULL, &f->arena, &v, &f->err), -1);
    assert_int_equal(f->err.code, ERR_SYSTEM);

    assert_int_equal(renameat(f->reg.dirfd, "aside", f->reg.dirfd, path), 0);
    OK(f, index_job_done(&f->reg, &end, 1, &f->err));
    assert_int_equal(tbl_edge_any(kv_reads(f->reg.kv), &id, EDGE_ID_PROVEN, &f->err), 1);
    assert_int_equal(image_by_id_find(&f->reg, NULL, &id, NULL, &f->arena, &v, &f->err), 1);
}

static void
what_is_built_upon_becomes_v1_images_and_goes_as_they_do(void **state)
{
    struct fixture *f = *state;
    struct digest config = push_config(f, "a/b", "x"), first = fixture_digest("one");
    struct digest manifest = push_image(f, "a/b", &config);
    struct digest top = id_of(&config), low = id_of(&first), no = fixture_digest("no"),
                  nothing = id_of(&no);
    struct digest layer = fixture_digest("low");
    struct bytes seen, json;
    struct image_view v;

    assert_int_equal(image_of_manifest_adopt(&f->reg, &nothing, &v1_alice, &f->err), 0);
    assert_int_equal(image_by_id_find(&f->reg, NULL, &low, NULL, &f->arena, &v, &f->err), 1);
    REFUSED(f, image_of_manifest_adopt(&f->reg, &low, &v1_alice, &f->err), ERR_BUSY);
    look_into(f, "low", fixture_digest("one"));
    assert_int_equal(image_of_manifest_adopt(&f->reg, &low, &v1_alice, &f->err), 1);
    look_into(f, "top", fixture_digest("two"));
    OK(f, image_view_json(&v, &f->arena, &seen, &f->err));
    assert_int_equal(image_of_manifest_adopt(&f->reg, &top, &v1_alice, &f->err), 1);
    assert_int_equal(image_of_manifest_adopt(&f->reg, &top, &v1_alice, &f->err),
                     1); /* again: nothing new */
    OK(f, image_json(&f->reg, &low, &f->arena, &json, &f->err));
    assert_true(bytes_equal(seen, json));

    OK(f, delete_manifest(&f->reg, "a/b", &manifest, NULL, &v1_alice, &f->arena, &f->err));
    fixture_forward_ms(1000 * 60);
    OK(f, garbage_step(&f->reg, &f->err));
    assert_int_equal(is_there(f, &top), 1);
    for (int i = 0; i < 6; i++) {
        fixture_forward_ms(1000ull * 3600 * 2);
        OK(f, garbage_step(&f->reg, &f->err));
    }
    assert_int_equal(is_there(f, &top), 0);
    assert_int_equal(is_there(f, &low), 0);
    assert_int_equal(tbl_edge_kept(kv_reads(f->reg.kv), &layer, &f->err), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_store, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_image_has_the_id_of_its_config_and_those_of_its_layers),
        TEST(images_upon_the_same_layers_share_their_ids),
        TEST(what_is_no_image_is_called_by_itself),
        TEST(a_config_that_tells_no_layers_leaves_the_image_its_own_id),
        TEST(a_v1_image_of_the_same_id_takes_no_id_with_it),
        TEST(a_tag_that_is_put_by_an_id_leads_to_the_manifest),
        TEST(ids_are_settled_when_the_layers_are_known),
        TEST(false_ids_go),
        TEST(only_what_stands_upon_a_false_layer_is_false),
        TEST(what_cannot_be_read_stays_unsure),
        TEST(an_index_that_fails_leaves_the_ids_open),
        TEST(what_is_built_upon_becomes_v1_images_and_goes_as_they_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
