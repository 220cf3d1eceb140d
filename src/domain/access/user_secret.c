#include "domain/access/user_secret.h"
#include "domain/access/access_file.h"
#include "util/clock.h"

bool
user_secret_find(const struct registry *reg, struct bytes user, uint8_t secret[USER_SECRET_BYTES])
{
    uint64_t expiry_s;

    if (reg->users_trusted || reg->access == NULL || !reg->access->is_usable ||
        !access_table_user(&reg->access->table, user, secret, &expiry_s))
        return false;
    return expiry_s == 0 || clock_wall_ms() / 1000 < expiry_s;
}
