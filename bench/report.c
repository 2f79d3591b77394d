/* Prints one result: times in µs, rates per second, CPU of all threads of the process. */
#include "bench/report.h"

#include <inttypes.h>
#include <stdio.h>

static double at_us(const struct result *r, double share)
{
    return (double)histogram_at(&r->latency_ns, share) / 1e3;
}

static double per_s(const struct result *r, uint64_t count)
{
    return r->elapsed_s > 0 ? (double)count / r->elapsed_s : 0;
}

static double per_request(const struct result *r, double value)
{
    return r->requests > 0 ? value / (double)r->requests : 0;
}

void report_text(const struct options *o, const struct result *r)
{
    printf("%s over %s, %s:%s%s: %u connections, %u in flight on each, ", o->verbs, o->proto->name,
           o->host, o->port, o->ceiling ? " (do-nothing server: the ceiling)" : "", o->connections,
           o->depth);
    if (o->rate_per_s > 0) {
        printf("open loop at %.0f requests/s\n", o->rate_per_s);
    } else {
        printf("closed loop\n");
    }
    printf("  %.0f requests/s (%" PRIu64 " in %.3f s)\n", per_s(r, r->requests), r->requests,
           r->elapsed_s);
    if (o->cycle) {
        printf("  %.0f builds/s, %" PRIu64 " finished, %" PRIu64 " times nothing to take\n",
               per_s(r, r->finished), r->finished, r->nils);
    }
    printf("  latency from the %s time, us: p50 %.1f  p99 %.1f  p99.9 %.1f  max %.1f\n",
           o->rate_per_s > 0 ? "due" : "send", at_us(r, 0.5), at_us(r, 0.99), at_us(r, 0.999),
           (double)r->latency_ns.max / 1e3);
    if (o->server_pid > 0) {
        printf("  server CPU %.3f us/request, ", per_request(r, r->server_cpu_us));
    } else {
        printf("  ");
    }
    printf("client CPU %.3f us/request\n", per_request(r, r->client_cpu_us));
    if (r->errors > 0) {
        printf("  %" PRIu64 " ERRORS, the first: %s\n", r->errors, r->first_error);
    }
}

void report_json(const struct options *o, const struct result *r)
{
    printf("{\"name\":\"%s\",\"verbs\":\"%s\",\"proto\":\"%s\",\"connections\":%u,\"depth\":%u,",
           o->name, o->verbs, o->proto->name, o->connections, o->depth);
    printf("\"rate_per_s\":%.0f,\"elapsed_s\":%.3f,\"requests\":%" PRIu64 ",\"builds\":%" PRIu64
           ",\"nils\":%" PRIu64 ",\"errors\":%" PRIu64 ",",
           o->rate_per_s, r->elapsed_s, r->requests, r->finished, r->nils, r->errors);
    printf("\"requests_per_s\":%.1f,\"builds_per_s\":%.1f,", per_s(r, r->requests),
           per_s(r, r->finished));
    printf("\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,", at_us(r, 0.5),
           at_us(r, 0.99), at_us(r, 0.999), (double)r->latency_ns.max / 1e3);
    printf("\"server_cpu_us\":%.4f,\"client_cpu_us\":%.4f}\n", per_request(r, r->server_cpu_us),
           per_request(r, r->client_cpu_us));
}
