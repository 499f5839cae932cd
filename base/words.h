/**
 * words — a line as words, apart by blanks; one with blanks in it stands in double quotes.
 *
 * Shape     Pure. No escapes: a word cannot hold a quote.
 */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

#include <stddef.h>

/** The next word of *at, which moves behind it; lent with the text. NULL: there is none left, or (*bad is
 *  then what is wrong, in words) a quote is open or stands inside of a word. */
const char *words_next(const char **at, size_t *len, const char **bad);

#endif
