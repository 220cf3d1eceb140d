#include "protocol/http/health.h"
#include "domain/core/store.h"
#include "util/clock.h"

#define MINUTE UINT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define WEEK (7 * DAY)
#define YEAR (365 * DAY)
#define MONTH (YEAR / 12)

void
health_age(char out[HEALTH_AGE_MAX], uint64_t ms)
{
    static const struct {
        uint64_t below;
        const char *text;
        uint64_t unit; /* 0: the text is complete without a number */
    } ages[] = {
        {42000, "just now", 0},          {MINUTE * 3 / 2, "a minute ago", 0},
        {HOUR, "minutes ago", MINUTE},   {HOUR * 3 / 2, "an hour ago", 0},
        {DAY, "hours ago", HOUR},        {2 * DAY, "yesterday", 0},
        {WEEK, "days ago", DAY},         {WEEK * 3 / 2, "a week ago", 0},
        {MONTH, "weeks ago", WEEK},      {MONTH * 3 / 2, "a month ago", 0},
        {YEAR, "months ago", MONTH},     {YEAR * 3 / 2, "a year ago", 0},
        {UINT64_MAX, "years ago", YEAR},
    };
    size_t i = 0;

    while (i + 1 < sizeof ages / sizeof ages[0] && ms >= ages[i].below)
        i++;
    if (ages[i].unit == 0)
        snprintf(out, HEALTH_AGE_MAX, "%s", ages[i].text);
    else /* rounded, half up */
        snprintf(out, HEALTH_AGE_MAX, "%llu %s",
                 (unsigned long long)(ms / ages[i].unit +
                                      (ms % ages[i].unit >= ages[i].unit - ms % ages[i].unit)),
                 ages[i].text);
}

int
health_root(struct call *c, struct err *err)
{
    struct json *body = json_new_object();
    char age[HEALTH_AGE_MAX], status[HEALTH_AGE_MAX + 8];

    health_age(age, clock_mono_ms() - c->reg->started_ms);
    snprintf(status, sizeof status, "Started %s", age);
    json_set_string(body, "name", "docker-registry-server");
    json_set_string(body, "version", PACKAGE_VERSION);
    json_set_string(body, "status", status);
    return call_json(c, 200, body, err);
}

int
health_check(struct call *c, struct err *err)
{
    if (store_check(c->reg, c->req->header(c->req, "REGISTRY_BODIES"), err) != 0) {
        err->code = ERR_BUSY;
        return -1;
    }
    http_reply_header(c->reply, "Cache-Control", "no-store");
    return call_body(c, 200, "text/plain", bytes_str("ok"));
}
