/**
 * parse — XML to an NZB, as the bytes come.
 *
 * Errors    0 or -errno; the line "NAME:LINE: reason" is in parse_error() then, and what is fed
 *           afterwards is ignored.
 */
#ifndef NZB_PARSE_H
#define NZB_PARSE_H

#include "nzb/nzb.h"

struct parse;

/** `name` stands for the input in messages; lent until parse_free(). NULL: no memory. */
struct parse *parse_new(const char *name);
int parse_feed(struct parse *p, const void *bytes, size_t len);

/** The input ended as it should. */
int parse_finish(struct parse *p, struct nzb **out);
const char *parse_error(const struct parse *p);
void parse_free(struct parse *p);

#endif
