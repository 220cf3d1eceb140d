#include "process/options/options.h"
#include "util/mem.h"

char *
options_keep(struct options *o, char *text)
{
    struct options_texts *t = &o->texts;
    t->v = mem_grow(t->v, &t->room, t->n + 1, sizeof *t->v);
    t->v[t->n++] = text;
    return text;
}

void
options_forget_users(struct options *o)
{
    for (size_t i = 0; i < o->users.n; i++) {
        if (o->users.v[i] != NULL)
            explicit_bzero(o->users.v[i], strlen(o->users.v[i]));
        o->users.v[i] = NULL;
    }
}

bool
options_log_is_foreign(const struct options *o)
{
    return o->fastcgi != NULL && strcmp(o->access_log, "off") != 0;
}

void
options_free(struct options *o)
{
    options_forget_users(o);
    for (size_t i = 0; i < o->texts.n; i++)
        free(o->texts.v[i]);
    free(o->texts.v);
    *o = (struct options){.command = o->command};
}
