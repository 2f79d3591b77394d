/* The machine: how much memory this process may use. */
#ifndef TALLY_ENGINE_BASE_MACHINE_H
#define TALLY_ENGINE_BASE_MACHINE_H

#include <stdint.h>

/* Returns the memory of the machine in bytes, or the limit of the process's control groups (cgroup
 * v2 and v1) if that is less. */
uint64_t machine_memory_bytes(void);

#endif
