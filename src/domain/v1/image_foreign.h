#ifndef DOMAIN_V1_IMAGE_FOREIGN_H
#define DOMAIN_V1_IMAGE_FOREIGN_H

#include "domain/core/foreign_images.h"

/* The images of the first API as domain/core sees them. */
extern const struct foreign_images image_foreign;

#endif
