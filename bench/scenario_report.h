/** scenario_report — the samples of one scenario, its table and its verdict. */
#ifndef BENCH_SCENARIO_REPORT_H
#define BENCH_SCENARIO_REPORT_H

#include "bench/scenario.h"

struct scenario_report *scenario_report_new(const struct scenario *s);
void scenario_report_free(struct scenario_report *p);

/** Print it, for people or as one line of JSON. Returns how many bounds were missed. */
unsigned scenario_report_print(const struct scenario_report *p, unsigned rounds, bool json);

#endif
