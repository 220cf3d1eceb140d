#pragma once

#include "domain/registry.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"
#include "util/json.h"

/* The config of an image. A push accepts any document as one. A document that is larger than this,
 * has more values or is deeper is stored, but not read: reading it would keep a worker busy for too
 * long. (Real ones have a few kilobytes and some hundred values.) */
#define CONFIG_MAX (4u << 20)
#define CONFIG_VALUES_MAX 10000
#define CONFIG_DEPTH_MAX 32

/* 0, or -1: this is no config that is read. */
int config_parse(struct bytes text, struct json **doc);

/* Reads one from the store: *text is in the arena, and *doc is the caller's. 1; 0: it is missing,
 * or no config that is read; *text is empty if nothing had to be read for that; -1. */
int config_read(const struct registry *reg, const struct digest *config, struct arena *arena,
                struct bytes *text, struct json **doc, struct err *err);
