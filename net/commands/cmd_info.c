/* INFO: numbers about the server and the engine, by section. */
#include "net/commands/cmd.h"

#include "engine/read.h"
#include "net/protocol/word.h"
#include "wal/base/check.h"
#include "wal/base/clock.h"

#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LINES_MAX = 128 };

/* The lines are collected first, because the reply begins with their number. */
struct lines {
    struct line {
        const char *key;
        uint64_t number;
    } line[LINES_MAX];
    size_t count;
};

struct facts {
    const struct service *service;
    struct engine_info engine;
};

static void add(struct lines *lines, const char *key, uint64_t number)
{
    /* only the functions below add lines, whatever the request */
    CHECK(lines->count < LINES_MAX);
    lines->line[lines->count++] = (struct line){key, number};
}

static uint64_t sum(const struct service *service, size_t offset)
{
    uint64_t total = 0;
    CHECK(offset < sizeof(struct counters)); /* SUM names a member */
    for (unsigned i = 0; i < service->options.threads; i++) {
        const char *counters = (const char *)service->counters[i];
        total += counter_get((const _Atomic uint64_t *)(const void *)(counters + offset));
    }
    return total;
}

#define SUM(service, counter) sum(service, offsetof(struct counters, counter))

static void add_server(const struct facts *facts, struct lines *lines)
{
    const struct service *service = facts->service;
    add(lines, "pid", (uint64_t)getpid());
    add(lines, "uptime_ms", (clock_mono_ns() - service->started_ns) / NS_PER_MS);
    add(lines, "wall_ms", facts->engine.wall_ms);
    add(lines, "log_ms", facts->engine.log_ms);
    add(lines, "wall_behind_ms", facts->engine.wall_behind_ms);
    add(lines, "wall_ahead_ms", facts->engine.wall_ahead_ms);
    add(lines, "start_ahead_ms", facts->engine.start_ahead_ms);
    add(lines, "threads", service->options.threads);
    add(lines, "readonly", facts->engine.readonly);
    add(lines, "draining", facts->engine.draining);
    add(lines, "requests", SUM(service, requests));
    add(lines, "errors", SUM(service, errors));
    add(lines, "passes", SUM(service, passes));
}

static void add_clients(const struct facts *facts, struct lines *lines)
{
    const struct service *service = facts->service;
    add(lines, "connections", service_connections(service));
    add(lines, "connections_max", service->options.connections_max);
    add(lines, "accepted", SUM(service, accepted));
    add(lines, "refused", SUM(service, refused));
    add(lines, "undelivered", SUM(service, undelivered));
    add(lines, "bytes_in", SUM(service, bytes_in));
    add(lines, "bytes_out", SUM(service, bytes_out));
}

static void add_memory(const struct facts *facts, struct lines *lines)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    add(lines, "resident_max_bytes", (uint64_t)usage.ru_maxrss * 1024);
    add(lines, "memory_bytes_max", facts->engine.memory_bytes_max);
    add(lines, "memory_bytes", facts->engine.memory_bytes);
#define X(kind, key) add(lines, #key, facts->engine.memory[LEDGER_##kind]);
    LEDGER_LIST(X)
#undef X
    add(lines, "retired", facts->engine.retired);
}

static void add_log(const struct facts *facts, struct lines *lines)
{
    const struct engine_info *engine = &facts->engine;
    add(lines, "lsn", engine->lsn);
    add(lines, "commits", engine->commits);
    add(lines, "records", engine->records);
    add(lines, "log_raw_bytes", engine->log_raw_bytes);
    add(lines, "log_stored_bytes", engine->log_stored_bytes);
    add(lines, "log_room_bytes", engine->log_room_bytes);
    add(lines, "segment_failures", engine->segment_failures);
    add(lines, "retain_bytes", engine->retain_bytes);
    add(lines, "disk_needed_bytes", engine->disk_needed_bytes);
    add(lines, "disk_free_bytes", engine->disk_free_bytes);
    add(lines, "disk_bytes", engine->disk_bytes);
    add(lines, "packed_segments", engine->packed_segments);
    add(lines, "packed_from_bytes", engine->packed_from_bytes);
    add(lines, "packed_to_bytes", engine->packed_to_bytes);
    add(lines, "pack_failures", engine->pack_failures);
    add(lines, "scrub_passes", engine->scrub_passes);
    add(lines, "scrub_bytes", engine->scrub_bytes);
    add(lines, "scrub_damage", engine->scrub_damage);
    uint64_t now_ms = engine->log_ms;
    bool has_age = engine->snapshot_lsn > 0 && now_ms > engine->snapshot_time_ms;
    add(lines, "snapshot_lsn", engine->snapshot_lsn);
    add(lines, "snapshot_bytes", engine->snapshot_bytes);
    add(lines, "snapshot_age_ms", has_age ? now_ms - engine->snapshot_time_ms : 0);
    add(lines, "snapshot_ms", engine->snapshot_took_ms);
    add(lines, "snapshot_running", engine->snapshot_running);
    add(lines, "snapshots", engine->snapshots);
    add(lines, "snapshot_failures", engine->snapshot_failures);
    add(lines, "segments_removed", engine->segments_removed);
}

static void add_polls(const struct facts *facts, struct lines *lines)
{
    add(lines, "polls", facts->engine.polls);
    add(lines, "options", facts->engine.options);
    add(lines, "votes", facts->engine.votes);
    add(lines, "vote_requests", SUM(facts->service, votes));
}

static void add_queues(const struct facts *facts, struct lines *lines)
{
    add(lines, "queues", facts->engine.queues);
    add(lines, "workers", facts->engine.workers);
    add(lines, "builds", facts->engine.builds);
    for (enum build_state state = BUILD_PENDING; state < BUILD_STATES; state++) {
        add(lines, status_state_name(state), facts->engine.builds_by_state[state]);
    }
}

static void add_latency(const struct facts *facts, struct lines *lines)
{
    const struct engine_info *engine = &facts->engine;
    uint64_t mean_ns = engine->commits == 0 ? 0 : engine->sync_ns_sum / engine->commits;
    add(lines, "sync_us_mean", mean_ns / 1000);
    add(lines, "commit_us_last", engine->commit_us_last);
    add(lines, "commit_us_max", engine->commit_us_max);
}

static const struct section {
    const char *name;
    void (*add)(const struct facts *facts, struct lines *lines);
} sections[] = {
    {"SERVER", add_server}, {"CLIENTS", add_clients}, {"MEMORY", add_memory},   {"LOG", add_log},
    {"POLLS", add_polls},   {"QUEUES", add_queues},   {"LATENCY", add_latency},
};

enum outcome cmd_info(struct ask *ask)
{
    struct facts facts = {.service = ask->pipeline->service};
    struct lines lines = {.count = 0};
    edge_info(ask->edge, &facts.engine);
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        if (ask->request->count == 0 || word_equal(ask->request->words[0], sections[i].name)) {
            sections[i].add(&facts, &lines);
        }
    }
    if (lines.count == 0) {
        return ask_error(ask, TALLY_INVAL,
                         "sections are server clients memory log polls queues latency");
    }
    reply_rows(&ask->reply, lines.count);
    for (size_t i = 0; i < lines.count; i++) {
        reply_row(&ask->reply);
        reply_number(&ask->reply, lines.line[i].key, lines.line[i].number);
        reply_end(&ask->reply);
    }
    return ASK_ANSWERED;
}
