#include "process/commands/password.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>
#include "util/base64.h"
#include "util/fdio.h"
#include "util/random.h"

/* Of the secret of a robot. */
#define SECRET_BYTES 32
/* Of a password that is made. */
#define GROUPS 5
#define GROUP 5

/* Asks on a terminal. signals, signal: see read_byte. */
typedef int asking(struct password *p, const char *name, int signals, int *signal, struct err *err);

/* Reads one byte of stdin, or a signal number from `signals` (-1: none). 1 a byte, 0 the end, -1
 * and errno; EINTR: *signal ends the program. */
static int
read_byte(int signals, char *c, int *signal)
{
    struct pollfd fds[2] = {
        {.fd = STDIN_FILENO, .events = POLLIN},
        {.fd = signals, .events = POLLIN},
    };
    struct signalfd_siginfo info;
    ssize_t got;
    do {
        got = poll(fds, 2, -1);
        if (got > 0 && fds[1].revents != 0 &&
            read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
            *signal = (int)info.ssi_signo;
            errno = EINTR;
            return -1;
        }
        if (got > 0)
            got = read(STDIN_FILENO, c, 1);
    } while (got < 0 && errno == EINTR);
    return (int)got;
}

/* Reads byte by byte, so that nothing after the line is consumed. Stops in the middle of a line
 * that is too long, with one byte too many in p. */
static int
read_line(struct password *p, int signals, int *signal, struct err *err)
{
    p->n = 0;
    while (p->n < sizeof p->text - 1) {
        char c;
        int got = read_byte(signals, &c, signal);
        if (got < 0)
            return err_errno(err, "cannot read the password");
        if (got == 0 || c == '\n')
            break;
        p->text[p->n++] = c;
    }
    p->text[p->n] = '\0';
    return htpasswd_check_password(bytes_of(p->text, p->n), err);
}

/* ---- from a terminal ---- */

static int
ask_on_terminal(struct password *p, const char *prompt, const char *name, int signals, int *signal,
                struct err *err)
{
    int r;

    dprintf(STDERR_FILENO, "%s%s: ", prompt, name);
    r = read_line(p, signals, signal, err);
    dprintf(STDERR_FILENO, "\n");
    return r;
}

static int
ask_once(struct password *p, const char *name, int signals, int *signal, struct err *err)
{
    return ask_on_terminal(p, "Password for ", name, signals, signal, err);
}

static int
ask_twice(struct password *p, const char *name, int signals, int *signal, struct err *err)
{
    struct password again;
    int r;

    if (ask_once(p, name, signals, signal, err) < 0)
        return -1;
    r = ask_on_terminal(&again, "Repeat the password", "", signals, signal, err);
    if (r == 0 && !bytes_equal(bytes_of(p->text, p->n), bytes_of(again.text, again.n)))
        r = err_set(err, ERR_BAD_REQUEST, "the passwords differ");
    explicit_bzero(&again, sizeof again);
    return r;
}

/* Asks while the terminal shows nothing and no signal ends the program. */
static int
ask_hidden(struct password *p, const char *name, const struct termios *shown, asking *ask,
           struct err *err)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP};
    sigset_t blocked, was;
    int signal = 0;
    int signals, r;
    struct termios hidden;

    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
        sigaddset(&blocked, ending[i]);
    signals = signalfd(-1, &blocked, SFD_CLOEXEC);
    if (signals < 0)
        return err_errno(err, "cannot catch signals");
    sigaddset(&blocked, SIGTSTP); /* the shell would have no echo: it waits till the end */
    sigprocmask(SIG_BLOCK, &blocked, &was);

    hidden = *shown;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) < 0)
        r = err_errno(err, "cannot switch off the echo of the terminal");
    else
        r = ask(p, name, signals, &signal, err);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, shown);

    fdio_close(signals);
    if (signal != 0) {
        explicit_bzero(p, sizeof *p);
        raise(signal);
    }
    sigprocmask(SIG_SETMASK, &was, NULL);
    return r;
}

static int
read_password(struct password *p, const char *name, asking *ask, struct err *err)
{
    struct termios shown;
    int none;

    if (tcgetattr(STDIN_FILENO, &shown) < 0)
        return read_line(p, -1, &none, err);
    return ask_hidden(p, name, &shown, ask, err);
}

int
password_read(struct password *p, const char *name, struct err *err)
{
    return read_password(p, name, ask_twice, err);
}

int
password_ask(struct password *p, const char *name, struct err *err)
{
    return read_password(p, name, ask_once, err);
}

/* ---- new ones ---- */

void
password_generate_secret(char out[PASSWORD_SECRET_MAX])
{
    static const char prefix[] = "drs_";
    uint8_t bits[SECRET_BYTES];

    _Static_assert(sizeof prefix + BASE64_TEXT(sizeof bits) <= PASSWORD_SECRET_MAX, "room");
    random_bytes(bits, sizeof bits);
    memcpy(out, prefix, sizeof prefix);
    base64_encode(out + sizeof prefix - 1, bytes_of(bits, sizeof bits));
    explicit_bzero(bits, sizeof bits);
    for (char *p = out; *p != '\0'; p++)
        if (*p == '+' || *p == '/')
            *p = *p == '+' ? '-' : '_';
}

void
password_generate(char out[PASSWORD_SECRET_MAX])
{
    /* 32 of them, without those that look alike. */
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    uint8_t bits[GROUPS * GROUP];
    size_t n = 0;

    _Static_assert(sizeof letters == 32 + 1 && GROUPS * (GROUP + 1) <= PASSWORD_SECRET_MAX, "");
    random_bytes(bits, sizeof bits);
    for (size_t i = 0; i < sizeof bits; i++) {
        if (i > 0 && i % GROUP == 0)
            out[n++] = '-';
        out[n++] = letters[bits[i] % 32];
    }
    out[n] = '\0';
    explicit_bzero(bits, sizeof bits);
}
