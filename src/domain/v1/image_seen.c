#include "domain/v1/image_seen.h"
#include "domain/core/repository.h"
#include "domain/v1/image.h"
#include "storage/tables/tbl_image.h"

/* Is the actor the pusher, with a right to this use? All anonymous clients count as one pusher, so
 * even for IMAGE_BUILD_UPON they lose this right when a repository has the image. */
static int
is_pushers(const struct registry *reg, const struct actor *actor, const struct digest *id,
           enum image_use use, struct err *err)
{
    struct rec_image r;
    int rc = tbl_image_get(kv_reads(reg->kv), id, &r, err);

    if (rc == 1 && strcmp(r.by, actor->user) != 0)
        rc = 0;
    if (rc != 1 || (use == IMAGE_BUILD_UPON && r.by[0] != '\0'))
        return rc;
    rc = image_is_held(kv_reads(reg->kv), id, err);
    return rc < 0 ? -1 : rc == 0;
}

int
image_seen(const struct registry *reg, const struct actor *actor, const struct digest *id,
           enum image_use use, struct err *err)
{
    struct repository_walk walk = {.to = *id, .kind = EDGE_MEMBER};
    int rc;

    if (access_everywhere(reg, actor, RIGHT_PULL))
        return 1;
    rc = is_pushers(reg, actor, id, use, err);
    return rc == 0 ? repository_walk_next(reg, actor, &walk, err) : rc;
}
