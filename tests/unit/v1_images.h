#pragma once

#include "store_fixture.h"
#include "domain/access/access.h"

/* Images of the first API for tests, known by numbers. */

extern const struct actor v1_alice;

/* An id that begins with two hex digits of n, and ends with four. */
struct digest v1_id(unsigned n);
/* Its JSON; parent: 0 for none; more: members behind, or "". */
const char *v1_json(struct fixture *f, unsigned n, unsigned parent, const char *more);
/* The payload checksum of both. */
const char *v1_payload(struct fixture *f, const char *json, const char *layer);

/* The steps of a push, by alice; the layer is the text. */
int v1_put_text(struct fixture *f, unsigned n, const char *json);
int v1_put_json(struct fixture *f, unsigned n, unsigned parent);
int v1_put_layer(struct fixture *f, unsigned n, const char *layer);
int v1_verify(struct fixture *f, unsigned n, const char *payload);
/* All of them. */
void v1_push(struct fixture *f, unsigned n, unsigned parent, const char *layer);
int v1_tag(struct fixture *f, const char *repository, const char *name, unsigned n);

/* Can others see it? Has it a record? */
bool v1_is_seen(struct fixture *f, unsigned n);
bool v1_has_record(struct fixture *f, unsigned n);

/* All events so far, a line for each: what, the id's first digits, ... */
void v1_expect_events(struct fixture *f, const char *lines);
