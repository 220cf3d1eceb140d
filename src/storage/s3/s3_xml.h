#pragma once

#include <stdbool.h>
#include "util/buf.h"
#include "util/bytes.h"

/* The answers of S3 that are XML: lists, errors, the beginning of an upload in parts. Only elements
 * that are asked for are looked at, wherever they are. Bytes of a stranger. */

/* What is between <name> and </name>, for the first such element of `rest`, which is cut to what
 * follows. p NULL: there is none. name: at most 60 bytes. */
struct bytes s3_xml_next(struct bytes *rest, const char *name);
/* The text of the first element of that name; n 0: there is none. Entities stay as they are. */
struct bytes s3_xml_text(struct bytes document, const char *name);
/* Is the text of the first element of that name just this? */
bool s3_xml_is(struct bytes document, const char *name, const char *text);
/* Does the document end with that element? One that was cut off doesn't. */
bool s3_xml_ends_with(struct bytes document, const char *name);
/* Appends it with its entities replaced. False: there is one that XML doesn't know, or no room. */
bool s3_xml_decode(struct buf *out, struct bytes text);
/* Appends it as the text of an element. */
void s3_xml_encode(struct buf *out, const char *text);
