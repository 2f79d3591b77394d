/* tally-bench: a load generator, a do-nothing server to measure its ceiling, and a table maker. */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "bench/load.h"
#include "bench/null_server.h"
#include "bench/report.h"
#include "bench/table.h"

static void stage_init(struct stage *s, const struct options *o)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    s->options = o;
    snprintf(s->name, sizeof s->name, "bench-%llx%08lx", (unsigned long long)now.tv_sec,
             (unsigned long)now.tv_nsec);
    s->id = calloc(o->ids, sizeof *s->id);
    s->payload = malloc(o->payload_bytes);
    if (s->id == NULL || s->payload == NULL) {
        errx(EX_OSERR, "out of memory");
    }
    memset(s->payload, 'x', o->payload_bytes);
}

static void stage_fini(struct stage *s)
{
    free(s->id);
    free(s->payload);
}

static int run_load(int argc, char **argv)
{
    static struct result result;
    struct options options;
    struct stage stage;
    char port[16];

    options_read(&options, argc, argv);
    if (options.ceiling) {
        unsigned bound_port;

        options.host = "127.0.0.1";
        options.port = port;
        options.server_pid = null_server_start(&bound_port);
        snprintf(port, sizeof port, "%u", bound_port);
    }
    stage_init(&stage, &options);
    load_run(&stage, &result);
    stage_fini(&stage);
    if (options.ceiling) {
        kill(options.server_pid, SIGTERM);
    }
    if (options.json) {
        report_json(&options, &result);
    } else {
        report_text(&options, &result);
    }
    if (result.errors > 0) {
        warnx("%s: the server refused: %s", options.name, result.first_error);
    }
    return result.errors > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_nothing(const char *port)
{
    unsigned bound_port;
    int listener = null_server_listen((unsigned)strtoul(port, NULL, 10), &bound_port);

    printf("nothing ready on 127.0.0.1:%u\n", bound_port);
    fflush(stdout);
    null_server_serve(listener);
}

static int print_free_port(void)
{
    unsigned port;

    close(null_server_listen(0, &port));
    printf("%u\n", port);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    const char *use = argc > 1 ? argv[1] : "";

    if (strcmp(use, "nothing") == 0 && argc <= 3) {
        return run_nothing(argc == 3 ? argv[2] : "0");
    }
    if (strcmp(use, "port") == 0 && argc == 2) {
        return print_free_port();
    }
    if (strcmp(use, "table") == 0 && argc == 2) {
        return table_print();
    }
    return run_load(argc, argv);
}
