/** status_print — a mount's figures (figures.h) as a page for people. */
#ifndef CLI_STATUS_PRINT_H
#define CLI_STATUS_PRINT_H

#include <jansson.h>
#include <stdbool.h>

struct status_look {
    unsigned room; /* columns of the terminal; 0: as wide as it gets */
    bool colours;
};

/** On standard output. Members that are not there (another version's mount) count as 0. */
void status_print(const json_t *status, const struct status_look *look);

/** Leased against guaranteed and burst, of `total`: "[####==:--        ]", `room` >= 24. # leased, = below
 *  the guarantee, - below the burst, ':' where the guarantee ends. */
const char *status_bar(unsigned leased, unsigned guaranteed, unsigned burst, unsigned total,
                       char *out, size_t room);

/** "0.5 ms", "12 ms", "1.3 s", "70 s". */
const char *status_span(unsigned long long us, char out[16]);

/** "12 s", "5 min", "3 h 12 min", "4 d 3 h". */
const char *status_age(unsigned long long s, char out[24]);

#endif
