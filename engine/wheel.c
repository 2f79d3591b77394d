/* The wheel's rings. */
#include "engine/wheel.h"

static void ring_init(struct timer *head)
{
    head->next = head;
    head->prev = head;
}

static void ring_add(struct timer *head, struct timer *timer)
{
    timer->prev = head->prev;
    timer->next = head;
    head->prev->next = timer;
    head->prev = timer;
}

static void ring_remove(struct timer *timer)
{
    timer->prev->next = timer->next;
    timer->next->prev = timer->prev;
    *timer = (struct timer){NULL, NULL};
}

static void ring_move(struct timer *from, struct timer *to)
{
    if (from->next == from) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    ring_init(from);
}

void wheel_init(struct wheel *wheel)
{
    wheel->now = 1;
    wheel->count = 0;
    ring_init(&wheel->taken);
    for (int i = 0; i < WHEEL_BUCKETS; i++) {
        ring_init(&wheel->bucket[i]);
    }
}

void wheel_put(struct wheel *wheel, struct build *build, uint32_t due)
{
    if (build->timer.next != NULL) {
        wheel_remove(wheel, build);
    }
    uint32_t tick = due > wheel->now ? due : wheel->now + 1;
    ring_add(&wheel->bucket[tick % WHEEL_BUCKETS], &build->timer);
    wheel->count++;
}

void wheel_remove(struct wheel *wheel, struct build *build)
{
    if (build->timer.next != NULL) {
        ring_remove(&build->timer);
        wheel->count--;
    }
}

struct build *wheel_next(struct wheel *wheel, uint32_t to)
{
    while (wheel->taken.next == &wheel->taken) {
        if (wheel->now >= to) {
            return NULL;
        }
        wheel->now++;
        ring_move(&wheel->bucket[wheel->now % WHEEL_BUCKETS], &wheel->taken);
    }
    struct timer *timer = wheel->taken.next;
    struct build *build = (struct build *)((char *)timer - offsetof(struct build, timer));
    wheel_remove(wheel, build);
    return build;
}
