/* tallyd: the server. main shows its life in order. */
#include "engine/tally.h"
#include "net/listen/address.h"
#include "net/listen/descriptors.h"
#include "net/listen/listener.h"
#include "net/server.h"
#include "tools/tallyd/ending.h"
#include "tools/tallyd/stop.h"
#include "wal/base/clock.h"
#include "wal/base/number.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_LEN_MIN = 32, KEY_LEN_MAX = 1000, PORT_DEFAULT = 8259 };
enum { THREADS_MAX = 16, CONNECTIONS_MAX = 10000, PAYLOAD_BYTES_MAX = 1 << 20 };
enum { MEMORY_BYTES_MIN = 16 << 20, LARGE_BYTES = 4 << 20 };
enum { REQUEST_S_DEFAULT = 60, REQUEST_S_MAX = 24 * 60 * 60 };
enum { PEER_S_DEFAULT = 60, PEER_S_MAX = 12 * 60 * 60 };

enum {
    OPTION_MEMORY = 1000,
    OPTION_SNAPSHOT_BYTES,
    OPTION_SNAPSHOT_SECONDS,
    OPTION_RETAIN_BYTES,
    OPTION_RETAIN_AGE,
    OPTION_REQUEST_SECONDS,
    OPTION_PEER_SECONDS
};

const char *argp_program_version = "tallyd " TALLY_VERSION;

struct server_settings {
    const char *bind;
    const char *data;
    const char *key_file;
    uint16_t port;
    unsigned threads;
    uint64_t memory_bytes;
    unsigned request_s;
    unsigned peer_s;
    uint64_t snapshot_bytes;
    uint64_t snapshot_s;
    uint64_t retain_bytes;
    uint64_t retain_s;
    struct address address; /* of bind and port */
    char key[KEY_LEN_MAX + 1];
};

static const struct argp_option options[] = {
    {"bind", 'b', "ADDRESS", 0,
     "Address to listen on (127.0.0.1), or a name of loopback; another than loopback needs a key",
     0},
    {"port", 'p', "PORT", 0, "Port to listen on (8259); 0: any free one", 0},
    {"data", 'd', "DIRECTORY", 0, "Where the log is (./data); made when missing", 0},
    {"threads", 't', "N", 0, "I/O threads (1 to 16; the cores less one)", 0},
    {"api-key-file", 'k', "FILE", 0, "A key of at least 32 characters, which clients say with AUTH",
     0},
    {"memory", OPTION_MEMORY, "N", 0,
     "What clients can make it hold, at least 16M (half of the memory); 0: no limit", 0},
    {"snapshot-bytes", OPTION_SNAPSHOT_BYTES, "N", 0,
     "Save the state after so many bytes of log (256M, on a small disk less); 0: never for that "
     "reason",
     0},
    {"snapshot-seconds", OPTION_SNAPSHOT_SECONDS, "N", 0,
     "Save it after so long, if anything has changed (15m); 0: never for that reason", 0},
    {"retain-bytes", OPTION_RETAIN_BYTES, "N", 0,
     "Old log goes, once two snapshots hold it, when all of it is larger (8G, or half of the "
     "disk); 0: never",
     0},
    {"retain-age", OPTION_RETAIN_AGE, "SECONDS", 0, "And when it is older (7d); 0: never", 0},
    {"request-seconds", OPTION_REQUEST_SECONDS, "N", 0,
     "A request arrives, and replies are taken, within so long (60), or the connection ends", 0},
    {"peer-seconds", OPTION_PEER_SECONDS, "N", 0,
     "A client whose machine does not answer for so long is gone (60); 0: never", 0},
    {NULL, 0, NULL, 0, "Bytes may end in K, M, G, seconds in m, h, d.", 0},
    {0},
};

static uint64_t number(const char *text, uint64_t max, struct argp_state *state, const char *what)
{
    uint64_t v = 0;
    if (!number_parse(text, &v) || v > max) {
        argp_error(state, "%s must be a number up to %llu, not '%s'", what, (unsigned long long)max,
                   text);
    }
    return v;
}

/* Reads a number with a unit behind it; 0 is "never". */
static uint64_t amount(char *text, const char *units, const uint64_t *each,
                       struct argp_state *state, const char *what)
{
    size_t len = strlen(text);
    const char *unit = len > 1 ? strchr(units, text[len - 1]) : NULL;
    uint64_t times = unit != NULL ? each[unit - units] : 1;
    if (unit != NULL) {
        text[len - 1] = '\0';
    }
    uint64_t v = number(text, UINT64_MAX / 1024 / times, state, what) * times;
    return v == 0 ? UINT64_MAX : v;
}

static uint64_t bytes_of(char *text, struct argp_state *state, const char *what)
{
    static const uint64_t each[] = {1 << 10, 1 << 20, 1 << 30};
    return amount(text, "KMG", each, state, what);
}

static uint64_t seconds_of(char *text, struct argp_state *state, const char *what)
{
    static const uint64_t each[] = {60, 60 * 60, 24 * 60 * 60};
    return amount(text, "mhd", each, state, what);
}

static const char *filled(const char *text, struct argp_state *state, const char *what)
{
    if (text[0] == '\0') {
        argp_error(state, "%s must not be empty", what);
    }
    return text;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct server_settings *settings = state->input;
    switch (key) {
    case 'b':
        settings->bind = filled(arg, state, "--bind");
        return 0;
    case 'p':
        settings->port = (uint16_t)number(arg, 65535, state, "--port");
        return 0;
    case 'd':
        settings->data = filled(arg, state, "--data");
        return 0;
    case 't':
        settings->threads = (unsigned)number(arg, THREADS_MAX, state, "--threads");
        if (settings->threads == 0) {
            argp_error(state, "--threads must be at least 1");
        }
        return 0;
    case 'k':
        settings->key_file = filled(arg, state, "--api-key-file");
        return 0;
    case OPTION_MEMORY:
        settings->memory_bytes = bytes_of(arg, state, "--memory");
        if (settings->memory_bytes < MEMORY_BYTES_MIN) {
            argp_error(state, "--memory must be at least 16M");
        }
        return 0;
    case OPTION_SNAPSHOT_BYTES:
        settings->snapshot_bytes = bytes_of(arg, state, "--snapshot-bytes");
        return 0;
    case OPTION_SNAPSHOT_SECONDS:
        settings->snapshot_s = seconds_of(arg, state, "--snapshot-seconds");
        return 0;
    case OPTION_RETAIN_BYTES:
        settings->retain_bytes = bytes_of(arg, state, "--retain-bytes");
        return 0;
    case OPTION_RETAIN_AGE:
        settings->retain_s = seconds_of(arg, state, "--retain-age");
        return 0;
    case OPTION_REQUEST_SECONDS:
        settings->request_s = (unsigned)number(arg, REQUEST_S_MAX, state, "--request-seconds");
        if (settings->request_s == 0) {
            argp_error(state, "--request-seconds must be at least 1");
        }
        return 0;
    case OPTION_PEER_SECONDS:
        settings->peer_s = (unsigned)number(arg, PEER_S_MAX, state, "--peer-seconds");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static unsigned threads_default(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 2 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (unsigned)cores - 1;
}

/* ---- the key ---- */

static void take_key(struct server_settings *settings, struct span key)
{
    if (key.len > KEY_LEN_MAX) {
        fprintf(stderr, "tallyd: the API key has more than %d characters\n", KEY_LEN_MAX);
        exit(EXIT_CONFIG);
    }
    if (key.len > 0 && memchr(key.at, '\0', key.len) != NULL) {
        fprintf(stderr, "tallyd: the API key has a NUL in it, which nobody can say\n");
        exit(EXIT_CONFIG);
    }
    memcpy(settings->key, key.at, key.len);
    settings->key[key.len] = '\0';
}

/* Reads the first line of the file, without its line end. */
static void read_key_file(struct server_settings *settings)
{
    char text[KEY_LEN_MAX + 3]; /* the longest key, CR and LF; or a key that is too long */
    FILE *file = fopen(settings->key_file, "re");
    size_t len = file == NULL ? 0 : fread(text, 1, sizeof text, file);
    if (len == 0) {
        fprintf(stderr, "tallyd: cannot read a key from %s: %s\n", settings->key_file,
                file == NULL || ferror(file) ? strerror(errno) : "it is empty");
        exit(EXIT_CONFIG);
    }
    fclose(file);
    const char *end = memchr(text, '\n', len);
    len = end != NULL ? (size_t)(end - text) : len;
    len -= len > 0 && text[len - 1] == '\r';
    if (len == 0) {
        fprintf(stderr, "tallyd: the first line of %s is empty: the key stands there\n",
                settings->key_file);
        exit(EXIT_CONFIG);
    }
    take_key(settings, (struct span){text, len});
}

/* Reads the key from the file, else from TALLY_API_KEY; empty when there is none. */
static void read_key(struct server_settings *settings)
{
    const char *from = getenv("TALLY_API_KEY");
    if (settings->key_file != NULL) {
        read_key_file(settings);
    } else {
        take_key(settings, span_of(from != NULL ? from : ""));
    }
}

static void read_address(struct server_settings *settings)
{
    const char *why;
    if (address_read(&settings->address, settings->bind, settings->port, &why) != 0) {
        fprintf(stderr, "tallyd: --bind %s: %s\n", settings->bind, why);
        exit(EXIT_USAGE);
    }
}

/* Refuses a short key, and an address that other machines can reach without a key. */
static void check_key(struct server_settings *settings)
{
    read_key(settings);
    size_t len = strlen(settings->key);
    if (len > 0 || settings->key_file != NULL) {
        if (len < KEY_LEN_MIN) {
            fprintf(stderr, "tallyd: the API key has %zu characters; it needs at least %d\n", len,
                    KEY_LEN_MIN);
            exit(EXIT_CONFIG);
        }
    } else if (!address_is_loopback(&settings->address)) {
        fprintf(stderr,
                "tallyd: %s is not a loopback address, so an API key of at least %d characters is "
                "needed: --api-key-file FILE or TALLY_API_KEY\n",
                settings->bind, KEY_LEN_MIN);
        exit(EXIT_CONFIG);
    }
}

/* ---- descriptors ---- */

/* Returns the limit of connections: with it clients can never use up the log's descriptors. */
static uint32_t claim_descriptors(const struct server_settings *settings)
{
    struct descriptors descriptors;
    descriptors_claim(&descriptors, CONNECTIONS_MAX, settings->threads);
    if (descriptors.limit < descriptors.needed) {
        fprintf(stderr,
                "tallyd: %u open files are allowed, with %u threads it takes at least %u: raise "
                "the limit (ulimit -n, LimitNOFILE=), or take fewer --threads\n",
                descriptors.limit, settings->threads, descriptors.needed);
        exit(EXIT_CONFIG);
    }
    if (descriptors.connections < CONNECTIONS_MAX) {
        fprintf(stderr, "tallyd: %u open files are allowed: at most %u connections\n",
                descriptors.limit, descriptors.connections);
    }
    return descriptors.connections;
}

/* ---- the data ---- */

static void fatal(void *arg, int code, const char *why)
{
    (void)arg;
    fprintf(stderr, "tallyd: stopping at once: %s\n", why);
    _exit(code);
}

static void warn(void *arg, const char *what)
{
    (void)arg;
    fprintf(stderr, "tallyd: DAMAGE on the disk, all is whole in memory: %s\n", what);
}

static void trouble(void *arg, const char *what)
{
    (void)arg;
    fprintf(stderr, "tallyd: %s\n", what);
}

/* Prints the error and the remedy, and ends the process. */
_Noreturn static void end(const struct ending *ending, const char *cannot, const char *what,
                          const char *why)
{
    fprintf(stderr, "tallyd: cannot %s %s: %s\ntallyd: %s\n", cannot, what, why, ending->remedy);
    exit(ending->code);
}

/* ---- how far it is ---- */

enum { PROGRESS_EVERY_MS = 3000 };

struct start_progress {
    struct listener *listener;
    const char *data;
    uint64_t told_ns;
    bool on_terminal;
    bool line_open;
};

/* Prints the progress: on a terminal one line that is overwritten, else one every few seconds. */
static void tell_progress(void *arg, unsigned percent)
{
    struct start_progress *progress = arg;
    uint64_t now_ns = clock_mono_ns();
    listener_progress(progress->listener, percent);
    if (progress->on_terminal) {
        fprintf(stderr, "\rtallyd: reading %s: %u %%", progress->data, percent);
        progress->line_open = true;
    } else if (now_ns - progress->told_ns >= (uint64_t)PROGRESS_EVERY_MS * 1000000U) {
        fprintf(stderr, "tallyd: reading %s: %u %%\n", progress->data, percent);
        progress->told_ns = now_ns;
    }
}

static struct tally *open_data(const struct server_settings *settings, struct listener *listener)
{
    struct start_progress progress = {.listener = listener,
                                      .data = settings->data,
                                      .told_ns = clock_mono_ns(),
                                      .on_terminal = isatty(STDERR_FILENO) == 1};
    struct tally_options opts = {.dir = settings->data,
                                 .create = true,
                                 .edges = settings->threads,
                                 .payload_bytes_max = PAYLOAD_BYTES_MAX,
                                 .memory_bytes = settings->memory_bytes,
                                 .snapshot_bytes = settings->snapshot_bytes,
                                 .snapshot_s = settings->snapshot_s,
                                 .retain_bytes = settings->retain_bytes,
                                 .retain_s = settings->retain_s,
                                 .fatal = fatal,
                                 .progress = tell_progress,
                                 .progress_arg = &progress,
                                 .warn = warn,
                                 .trouble = trouble};
    struct tally_report report;
    struct tally *tally = NULL;
    int err = tally_open(&tally, &opts, &report);
    if (progress.line_open) {
        fputs("\r\033[K", stderr);
    }
    if (err != 0) {
        end(ending_of_data(err), "open the data in", settings->data,
            report.text[0] != '\0' ? report.text : tally_err_text(err));
    }
    bool tell = report.torn || report.snapshot_passed;
    fprintf(stderr, "tallyd: %llu record%s read from %s", (unsigned long long)report.records,
            report.records == 1 ? "" : "s", settings->data);
    if (report.snapshot_lsn > 0) {
        fprintf(stderr, ", with the snapshot at %llu", (unsigned long long)report.snapshot_lsn);
    }
    fprintf(stderr, "%s%s\n", tell ? "; " : "", tell ? report.text : "");
    fprintf(stderr, "tallyd: it takes %llu MiB of disk without history; %llu MiB are free%s\n",
            (unsigned long long)(report.disk_needed_bytes >> 20),
            (unsigned long long)(report.disk_free_bytes >> 20),
            report.readonly ? ": too few, so new changes are refused until there are more" : "");
    return tally;
}

/* ---- the life ---- */

/*
 * Makes large arrays come from the kernel, which zeroes each page when it is first used. Otherwise
 * calloc may have to clear a reused array at once, and the committer stands still for 40 ms.
 */
static void allocate_large_from_kernel(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES); /* a failure only makes it slower */
}

int main(int argc, char **argv)
{
    struct server_settings settings = {.bind = "127.0.0.1",
                                       .data = "./data",
                                       .port = PORT_DEFAULT,
                                       .threads = threads_default(),
                                       .request_s = REQUEST_S_DEFAULT,
                                       .peer_s = PEER_S_DEFAULT};
    const struct argp argp = {
        options, parse_option, NULL, "Counts votes and hands out builds; every OK is on disk.",
        NULL,    NULL,         NULL};
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &settings);
    read_address(&settings);
    check_key(&settings);
    uint32_t connections_max = claim_descriptors(&settings);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond `ulimit -f` then fails with EFBIG: a full disk */
    allocate_large_from_kernel();
    int err = stop_watch();
    if (err != 0) {
        end(ending_of_serving(-err), "hear", "signals", strerror(err));
    }
    struct listener *listener = NULL;
    char address[80];
    err = listener_new(&listener, &settings.address, settings.peer_s, address, sizeof address);
    if (err != 0) {
        snprintf(address, sizeof address, "port %u of %s", settings.port, settings.bind);
        end(ending_of_listener(err), "listen on", address, strerror(-err));
    }
    fprintf(stderr, "tallyd: listening on %s, reading %s\n", address, settings.data);
    struct tally *tally = open_data(&settings, listener);
    struct listener_handed opened;
    listener_hand_over(listener, &opened);
    struct server_options serve = {.listen_fd = opened.listen_fd,
                                   .guests = opened.guests,
                                   .guest_count = opened.guest_count,
                                   .threads = settings.threads,
                                   .key = settings.key[0] != '\0' ? settings.key : NULL,
                                   .payload_bytes_max = PAYLOAD_BYTES_MAX,
                                   .connections_max = connections_max,
                                   .request_ms = settings.request_s * 1000};
    struct server *server = NULL;
    err = server_start(&server, tally, &serve);
    if (err != 0) {
        tally_close(tally);
        end(ending_of_serving(err), "serve on", address, strerror(-err));
    }
    stop_serves();
    printf("tallyd ready on %s\n", address);
    fflush(stdout);

    fprintf(stderr, "tallyd: %s: draining\n", strsignal(stop_await()));
    tally_drain(tally);
    server_stop(server);
    return tally_close(tally) == 0 ? 0 : EXIT_IO;
}
