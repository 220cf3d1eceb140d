#include "protocol/v2/v2_base.h"

int
v2_base(struct call *c, struct err *err)
{
    return call_json(c, 200, json_new_object(), err);
}
