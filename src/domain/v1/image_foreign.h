#pragma once

#include "domain/core/foreign_images.h"

/* The images of the first API as domain/core sees them. */
extern const struct foreign_images image_foreign;
