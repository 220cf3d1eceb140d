#include "domain/access/user_secret.h"
#include "domain/access/access_file.h"
#include "util/clock.h"

bool
user_secret_find(const struct registry *reg, struct bytes user, uint8_t secret[USER_SECRET_BYTES],
                 uint64_t *until_s)
{
    if (reg->users_trusted || reg->access == NULL || !reg->access->is_usable ||
        !access_table_user(&reg->access->table, user, secret, until_s))
        return false;
    if (*until_s == 0)
        *until_s = UINT64_MAX;
    return clock_wall_ms() / 1000 < *until_s;
}
