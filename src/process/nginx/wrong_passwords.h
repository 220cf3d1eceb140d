#pragma once

#include <stdbool.h>
#include <stdint.h>

/* nginx has a line for each wrong password. The first one of an address is logged at once, further
 * ones when there are 10, 100, 1000 and so on, and the rest at the end of the minute. So
 * contrib/fail2ban learns of a guesser at once, and a long attack has few lines. */

#define WRONG_PASSWORDS_ADDRESSES 64
#define WRONG_PASSWORDS_ADDRESS 48
/* Bytes that are kept of the last user name. */
#define WRONG_PASSWORDS_USER 64

struct wrong_passwords_of;

struct wrong_passwords {
    uint64_t period_ms; /* what is called a minute here; 0: a minute */
    /* Instead of logging them: takes of->times wrong passwords. NULL: they are logged. */
    void (*tell)(const struct wrong_passwords_of *of, void *arg);
    void *arg;
    struct wrong_passwords_of {
        char address[WRONG_PASSWORDS_ADDRESS]; /* "": this place is free */
        char user[WRONG_PASSWORDS_USER + 1];
        unsigned times;                  /* not logged yet */
        unsigned next;                   /* as many are logged at once */
        uint64_t until_ms;               /* when fewer are logged */
    } of[WRONG_PASSWORDS_ADDRESSES + 1]; /* the last one is for further addresses */
};

/* text: a line of nginx without its beginning (nginx_log_split). False if it isn't about a wrong
 * password or an unknown user; then nothing was done. now_ms: clock_mono_ms(). */
bool wrong_passwords_take(struct wrong_passwords *w, const char *text, uint64_t now_ms);

/* The address in such a line. False likewise. */
bool wrong_password_address(const char *text, char address[WRONG_PASSWORDS_ADDRESS]);

/* Logs the numbers whose minute is over. Call it now and then. */
void wrong_passwords_tell(struct wrong_passwords *w, uint64_t now_ms);
