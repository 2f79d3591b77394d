/* CPU time of processes, for "CPU per request". */
#ifndef TALLY_BENCH_CPU_H
#define TALLY_BENCH_CPU_H

#include <sys/types.h>

/* Returns the µs of CPU, user and system, that all threads of the process have used so far, from
 * /proc (steps of 10 ms). Ends the program when there is no such process. */
double cpu_of_process_us(pid_t pid);

/* Returns the same of this process, exactly. */
double cpu_of_self_us(void);

#endif
