#pragma once

#include "util/buf.h"

/* The largest page, rendered, has 40 KiB. */
#define MANUAL_TEXT_MAX (256u << 10)

/* Renders the source of a manual page as ASCII in lines of up to 78 columns; examples keep their
 * lines. It knows the macros of man(7) that the pages of src/man use. A line with any other macro
 * is printed as it is. */
void manual_text_render(struct buf *out, const char *page);
