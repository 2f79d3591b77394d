/* The timing wheel: its rings of timers, and its hand. */
#include "engine/state/wheel.h"

#include "wal/base/check.h"

void timer_ring_init(struct timer *head)
{
    head->next = head;
    head->prev = head;
}

void timer_ring_add(struct timer *head, struct timer *timer)
{
    DCHECK(timer->next == NULL && timer->prev == NULL); /* a timer is in one ring at a time */
    timer->prev = head->prev;
    timer->next = head;
    head->prev->next = timer;
    head->prev = timer;
}

void timer_ring_remove(struct timer *timer)
{
    DCHECK(timer->prev->next == timer && timer->next->prev == timer);
    timer->prev->next = timer->next;
    timer->next->prev = timer->prev;
    *timer = (struct timer){NULL, NULL};
}

static void ring_move(struct timer *from, struct timer *to)
{
    if (timer_ring_is_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    timer_ring_init(from);
}

void wheel_init(struct wheel *wheel, uint64_t now)
{
    wheel->now = now;
    wheel->count = 0;
    timer_ring_init(&wheel->taken);
    for (int i = 0; i < WHEEL_BUCKETS; i++) {
        timer_ring_init(&wheel->bucket[i]);
    }
}

void wheel_put(struct wheel *wheel, struct timer *timer, uint64_t due)
{
    wheel_remove(wheel, timer);
    uint64_t tick = due > wheel->now ? due : wheel->now + 1;
    DCHECK(tick > wheel->now); /* its bucket is still to come */
    timer_ring_add(&wheel->bucket[tick % WHEEL_BUCKETS], timer);
    wheel->count++;
}

void wheel_remove(struct wheel *wheel, struct timer *timer)
{
    if (timer->next != NULL) {
        DCHECK(wheel->count > 0);
        timer_ring_remove(timer);
        wheel->count--;
    }
}

struct timer *wheel_next(struct wheel *wheel, uint64_t to)
{
    while (timer_ring_is_empty(&wheel->taken)) {
        if (wheel->now >= to) {
            return NULL;
        }
        /* however far the time has jumped, one turn visits every bucket */
        bool far = to - wheel->now > WHEEL_BUCKETS;
        wheel->now = far ? to - WHEEL_BUCKETS + 1 : wheel->now + 1;
        ring_move(&wheel->bucket[wheel->now % WHEEL_BUCKETS], &wheel->taken);
    }
    DCHECK(wheel->now <= to || wheel->count > 0);
    struct timer *timer = wheel->taken.next;
    wheel_remove(wheel, timer);
    return timer;
}
