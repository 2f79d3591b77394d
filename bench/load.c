/* The load generator: one epoll loop.
 *
 * Each connection works in windows: one send with P requests, then P replies, then the next window.
 * A window of a mix or of ballots is one step; a window of builds has three (hand in P builds, take
 * P, finish those taken); each step is sent when the step before is answered.
 *
 * Closed loop: a window begins when the last one ends, and a reply's time counts from the send.
 * Open loop: windows begin at set times, whatever the server does; a late window begins as soon as
 * its connection is free, and its time counts from when it was due. The run waits for every window
 * that was due, so the replies that a stall delays are counted, too.
 */
#include "bench/load.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "bench/ask.h"
#include "bench/cpu.h"
#include "bench/mix.h"
#include "bench/voter.h"

#define NS_PER_S       1000000000u
#define SILENCE_NS     (10ull * NS_PER_S)
#define TICK_NS        20000000u /* the longest sleep between two looks at the clock */
#define RECEIVE_BYTES  65536u
#define EVENTS_AT_ONCE 64

enum step { STEP_IDLE, STEP_MIX, STEP_BALLOTS, STEP_GIVE, STEP_TAKE, STEP_FINISH };

struct load_conn {
    int fd;
    unsigned index;
    enum step step;
    bool waits_for_room; /* EPOLLOUT is asked for */
    unsigned awaited;    /* replies still to come in this step */
    const char *out;     /* bytes that are not sent yet; borrowed from one of the texts */
    size_t out_len;
    uint64_t since_ns; /* from when this step's replies are timed */
    uint64_t windows;  /* begun so far */
    size_t mix_position;
    struct text ballots; /* of this window: each window has voters of its own */
    struct text in;
    struct text take;   /* P requests, the same every time */
    struct text finish; /* made from the replies to `take` */
    unsigned to_finish;
};

struct load {
    const struct options *options;
    const struct proto *proto;
    const struct stage *stage;
    struct result *result;
    struct mix mix;
    struct text give; /* P requests, the same every time */
    struct load_conn *conns;
    enum step first_step; /* of a window */
    int epoll;
    unsigned busy; /* connections within a window */
    bool counting;
    bool counted;
    uint64_t begun;  /* requests of all windows so far */
    uint64_t voters; /* that have voted so far */
    uint64_t now_ns;
    uint64_t heard_ns; /* time of the last reply */
    uint64_t start_ns;
    uint64_t count_from_ns;
    uint64_t count_to_ns;
};

static uint64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- counting ---- */

static void begin_counting(struct load *l)
{
    struct result *r = l->result;

    l->counting = true;
    l->count_from_ns = l->now_ns;
    r->client_cpu_us = cpu_of_self_us();
    if (l->options->server_pid > 0) {
        r->server_cpu_us = cpu_of_process_us(l->options->server_pid);
    }
}

static void end_counting(struct load *l)
{
    struct result *r = l->result;

    l->counting = false;
    l->counted = true;
    r->elapsed_s = (double)(l->now_ns - l->count_from_ns) / NS_PER_S;
    r->client_cpu_us = cpu_of_self_us() - r->client_cpu_us;
    if (l->options->server_pid > 0) {
        r->server_cpu_us = cpu_of_process_us(l->options->server_pid) - r->server_cpu_us;
    }
}

static bool ends_by_the_clock(const struct options *o)
{
    return o->requests == 0 && o->rate_per_s <= 0;
}

static void look_at_the_clock(struct load *l)
{
    l->now_ns = clock_ns();
    if (!l->counting && !l->counted && l->now_ns >= l->count_from_ns) {
        begin_counting(l);
    } else if (l->counting && ends_by_the_clock(l->options) && l->now_ns >= l->count_to_ns) {
        end_counting(l);
    }
    if (l->busy > 0 && l->now_ns - l->heard_ns > SILENCE_NS) {
        errx(EX_TEMPFAIL, "no reply for 10 s");
    }
}

static void note_error(struct result *r, const struct proto_reply *reply)
{
    size_t len = reply->line_len;

    if (r->errors++ == 0) {
        if (len >= sizeof r->first_error) {
            len = sizeof r->first_error - 1;
        }
        memcpy(r->first_error, reply->bytes, len);
        r->first_error[len] = '\0';
    }
}

/* ---- windows ---- */

static unsigned requests_in_window(const struct options *o)
{
    return o->cycle ? o->depth * (2 + o->proto->requests_to_finish) : o->depth;
}

static uint64_t due_ns(const struct load *l, const struct load_conn *c)
{
    const struct options *o = l->options;
    double gap_ns = (double)NS_PER_S * requests_in_window(o) / o->rate_per_s;
    uint64_t turn = c->windows * o->connections + c->index;

    return l->start_ns + (uint64_t)((double)turn * gap_ns);
}

static bool may_begin(const struct load *l, const struct load_conn *c)
{
    if (l->options->requests > 0 && l->begun >= l->options->requests) {
        return false;
    }
    if (l->options->rate_per_s > 0) {
        return l->options->requests > 0 || due_ns(l, c) < l->count_to_ns;
    }
    return l->options->requests > 0 || l->now_ns < l->count_to_ns;
}

static void wait_for(struct load *l, struct load_conn *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};

    if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &event) != 0) {
        err(EX_OSERR, "epoll_ctl");
    }
    c->waits_for_room = (events & EPOLLOUT) != 0;
}

static void send_some(struct load *l, struct load_conn *c)
{
    while (c->out_len > 0) {
        ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n < 0) {
            err(EX_IOERR, "send");
        }
        c->out += n;
        c->out_len -= (size_t)n;
    }
    if (c->waits_for_room != (c->out_len > 0)) {
        wait_for(l, c, c->out_len > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

static void write_ballots(struct load *l, struct load_conn *c)
{
    const struct options *o = l->options;
    char voter[VOTER_ROOM];

    c->ballots.len = 0;
    for (unsigned i = 0; i < o->depth; i++) {
        uint64_t id = l->stage->id[l->voters % o->ids];

        voter_name(voter, l->voters++, o->short_voters);
        l->proto->add_ballot(&c->ballots, l->stage, id, voter);
    }
}

static void begin_step(struct load *l, struct load_conn *c, enum step step)
{
    const struct text *batch = &l->give;

    c->step = step;
    c->awaited = l->options->depth;
    c->since_ns = l->now_ns;
    if (step == STEP_MIX) {
        c->out = mix_next(&l->mix, &c->mix_position, l->options->depth, &c->out_len);
        return;
    }
    if (step == STEP_BALLOTS) {
        write_ballots(l, c);
        c->awaited *= l->proto->requests_of_ballot;
        batch = &c->ballots;
    } else if (step == STEP_TAKE) {
        c->finish.len = 0;
        c->to_finish = 0;
        batch = &c->take;
    } else if (step == STEP_FINISH) {
        c->awaited = c->to_finish * l->proto->requests_to_finish;
        batch = &c->finish;
    }
    c->out = batch->at;
    c->out_len = batch->len;
}

/* Begins the next window if there is one and it is due. Returns whether it began. */
static bool begin_window(struct load *l, struct load_conn *c)
{
    if (!may_begin(l, c)) {
        return false;
    }
    uint64_t due = l->options->rate_per_s > 0 ? due_ns(l, c) : l->now_ns;
    if (due > l->now_ns) {
        return false;
    }
    if (l->busy++ == 0) {
        l->heard_ns = l->now_ns;
    }
    begin_step(l, c, l->first_step);
    c->since_ns = due;
    c->windows++;
    l->begun += requests_in_window(l->options);
    send_some(l, c);
    return true;
}

static void end_window(struct load *l, struct load_conn *c)
{
    c->step = STEP_IDLE;
    l->busy--;
    begin_window(l, c);
}

static void end_step(struct load *l, struct load_conn *c)
{
    if (c->step == STEP_GIVE) {
        begin_step(l, c, STEP_TAKE);
        send_some(l, c);
    } else if (c->step == STEP_TAKE && c->to_finish > 0) {
        begin_step(l, c, STEP_FINISH);
        send_some(l, c);
    } else {
        end_window(l, c);
    }
}

/* ---- replies ---- */

/* Finishing may take several requests; the build counts when the last of them is OK. */
static void heard_in_cycle(struct load *l, struct load_conn *c, const struct proto_reply *reply)
{
    if (reply->kind != REPLY_OK) {
        return;
    }
    if (c->step == STEP_TAKE) {
        l->proto->add_finish(&c->finish, l->stage, reply);
        c->to_finish++;
    } else if (c->step == STEP_FINISH && c->awaited % l->proto->requests_to_finish == 0) {
        l->result->finished += l->counting;
    }
}

/* Returns how many requests `awaited` replies leave without an answer; a ballot is one request,
 * however many the dialect needs for it. */
static unsigned unanswered(const struct load *l, unsigned awaited)
{
    unsigned each = l->options->ballots ? l->proto->requests_of_ballot : 1;

    return (awaited + each - 1) / each;
}

/* Takes the replies at the front of the received bytes. Returns their length. */
static size_t hear(struct load *l, struct load_conn *c)
{
    ssize_t (*const parse)(const char *, const char *, struct proto_reply *) = l->proto->parse;
    const char *p = c->in.at;
    const char *end = p + c->in.len;
    unsigned awaited_before = c->awaited;
    uint64_t nils = 0;

    while (c->awaited > 0 && p < end) {
        struct proto_reply reply;
        ssize_t n = parse(p, end, &reply);

        if (n < 0) {
            errx(EX_PROTOCOL, "this is no reply in the dialect %s", l->proto->name);
        }
        if (n == 0) {
            break;
        }
        p += n;
        c->awaited--;
        nils += reply.kind == REPLY_NIL;
        if (reply.kind == REPLY_ERR) {
            note_error(l->result, &reply);
        }
        if (c->step >= STEP_GIVE) {
            heard_in_cycle(l, c, &reply);
        }
    }
    if (l->counting) {
        unsigned heard = unanswered(l, awaited_before) - unanswered(l, c->awaited);
        uint64_t waited_ns = l->now_ns > c->since_ns ? l->now_ns - c->since_ns : 0;

        histogram_add(&l->result->latency_ns, waited_ns, heard);
        l->result->requests += heard;
        l->result->nils += nils;
    }
    return (size_t)(p - c->in.at);
}

static void receive_some(struct load *l, struct load_conn *c)
{
    text_reserve(&c->in, RECEIVE_BYTES);
    ssize_t n = recv(c->fd, c->in.at + c->in.len, c->in.room - c->in.len, 0);
    if (n < 0) {
        if (errno == EAGAIN) {
            return;
        }
        err(EX_IOERR, "recv");
    }
    if (n == 0) {
        errx(EX_PROTOCOL, "the server closed a connection");
    }
    c->in.len += (size_t)n;
    l->now_ns = clock_ns();
    l->heard_ns = l->now_ns;

    size_t eaten = hear(l, c);
    c->in.len -= eaten;
    if (c->in.len > 0) {
        if (c->awaited == 0) {
            errx(EX_PROTOCOL, "more replies than requests");
        }
        memmove(c->in.at, c->in.at + eaten, c->in.len);
    }
    if (c->awaited == 0) {
        end_step(l, c);
    }
}

/* ---- the loop ---- */

/* Begins the windows that are due. Returns when the next window of an idle connection is due, 0:
 * there is none. */
static uint64_t begin_due_windows(struct load *l)
{
    uint64_t earliest_ns = 0;

    for (unsigned i = 0; i < l->options->connections; i++) {
        struct load_conn *c = &l->conns[i];

        if (c->step != STEP_IDLE || begin_window(l, c) || !may_begin(l, c)) {
            continue;
        }
        uint64_t due = due_ns(l, c);
        if (earliest_ns == 0 || due < earliest_ns) {
            earliest_ns = due;
        }
    }
    return earliest_ns;
}

static void loop(struct load *l)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    const bool open_loop = l->options->rate_per_s > 0;
    uint64_t next_ns = begin_due_windows(l);

    while (l->busy > 0 || next_ns > 0) {
        struct timespec sleep = {.tv_nsec = TICK_NS};

        if (next_ns > 0) {
            uint64_t left_ns = next_ns > l->now_ns ? next_ns - l->now_ns : 0;
            sleep.tv_nsec = left_ns < TICK_NS ? (long)left_ns : (long)TICK_NS;
        }
        int n = epoll_pwait2(l->epoll, events, EVENTS_AT_ONCE, &sleep, NULL);
        if (n < 0 && errno != EINTR) {
            err(EX_OSERR, "epoll_pwait2");
        }
        look_at_the_clock(l);
        for (int i = 0; i < n; i++) {
            struct load_conn *c = events[i].data.ptr;

            if ((events[i].events & EPOLLOUT) != 0) {
                send_some(l, c);
            }
            if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
                receive_some(l, c);
            }
        }
        if (open_loop) {
            next_ns = begin_due_windows(l);
        }
    }
    if (l->counting) {
        l->now_ns = clock_ns();
        end_counting(l);
    }
}

/* ---- start and end ---- */

static void conn_init(struct load *l, struct load_conn *c, unsigned index)
{
    const struct options *o = l->options;

    c->index = index;
    c->fd = ask_connect(o->host, o->port);
    if (l->proto->join != NULL) {
        l->proto->join(l->stage, c->fd, index);
    }
}

static void conn_arm(struct load *l, struct load_conn *c)
{
    const struct options *o = l->options;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

    if (o->cycle) {
        for (unsigned i = 0; i < o->depth; i++) {
            l->proto->add_take(&c->take, l->stage, c->index);
        }
    } else if (!o->ballots) {
        c->mix_position = c->index * l->mix.count / o->connections;
    }
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        err(EX_OSERR, "connection");
    }
}

static void conn_fini(struct load *l, struct load_conn *c)
{
    if (fcntl(c->fd, F_SETFL, 0) != 0) {
        err(EX_OSERR, "connection");
    }
    if (l->proto->leave != NULL) {
        l->proto->leave(l->stage, c->fd, c->index);
    }
    close(c->fd);
    text_fini(&c->in);
    text_fini(&c->ballots);
    text_fini(&c->take);
    text_fini(&c->finish);
}

static void set_times(struct load *l)
{
    const struct options *o = l->options;

    l->now_ns = clock_ns();
    l->start_ns = l->now_ns;
    l->heard_ns = l->now_ns;
    l->count_from_ns = l->now_ns + (uint64_t)(o->warmup_s * NS_PER_S);
    l->count_to_ns = l->count_from_ns + (uint64_t)(o->duration_s * NS_PER_S);
}

void load_run(struct stage *stage, struct result *result)
{
    const struct options *o = stage->options;
    struct load l = {.options = o, .proto = o->proto, .stage = stage, .result = result};

    l.first_step = o->cycle ? STEP_GIVE : o->ballots ? STEP_BALLOTS : STEP_MIX;
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    l.conns = calloc(o->connections, sizeof *l.conns);
    if (l.epoll < 0 || l.conns == NULL) {
        err(EX_OSERR, "start");
    }
    prctl(PR_SET_TIMERSLACK, 1ul);
    for (unsigned i = 0; i < o->connections; i++) {
        conn_init(&l, &l.conns[i], i);
    }
    l.proto->prepare(stage, l.conns[0].fd);
    if (o->cycle) {
        for (unsigned i = 0; i < o->depth; i++) {
            l.proto->add_give(&l.give, stage);
        }
    } else if (!o->ballots) {
        mix_init(&l.mix, stage);
    }
    for (unsigned i = 0; i < o->connections; i++) {
        conn_arm(&l, &l.conns[i]);
    }
    set_times(&l);
    loop(&l);

    for (unsigned i = 0; i < o->connections; i++) {
        conn_fini(&l, &l.conns[i]);
    }
    mix_fini(&l.mix);
    text_fini(&l.give);
    free(l.conns);
    close(l.epoll);
}
