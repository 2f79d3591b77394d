/* The machine: how much memory there is for this process. */
#ifndef TALLY_ENGINE_BASE_MACHINE_H
#define TALLY_ENGINE_BASE_MACHINE_H

#include <stdint.h>

/* The memory of the machine in bytes, or what its control groups (cgroup v2 and v1) allow, where
 * that is less. */
uint64_t machine_memory_bytes(void);

#endif
