#include "domain/check/check_pull.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"

int
check_pull_has_target(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct rec_manifest manifest;
    struct digest d;
    struct err ignored;
    struct rec_tag tag;
    int rc = 0;

    if (strchr(e->text, ':') == NULL)
        rc = tbl_tag_get(t, e->repo, e->text, &tag, err);
    else if (digest_parse(&d, e->text, strlen(e->text), &ignored) == 0)
        rc = tbl_manifest_get(t, e->repo, &d, &manifest, err);
    return rc == 0 ? check_fails(c, "there is no such tag or manifest") : rc;
}
