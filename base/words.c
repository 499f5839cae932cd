#include "base/words.h"

#include <string.h>

#define BLANKS " \t"

const char *words_next(const char **at, size_t *len, const char **bad)
{
    const char *word = *at + strspn(*at, BLANKS);
    *bad = NULL;
    if (!*word) {
        *at = word;
        return NULL;
    }
    if (*word != '"') {
        *len = strcspn(word, BLANKS "\"");
        *at = word + *len;
        if (**at == '"')
            *bad = "a quote stands inside of a word";
        return *bad ? NULL : word;
    }
    const char *end = strchr(++word, '"');
    if (!end || (end[1] && !strchr(BLANKS, end[1]))) {
        *bad = end ? "a word goes on behind its quote" : "a quote is not closed";
        return NULL;
    }
    *len = (size_t)(end - word);
    *at = end + 1;
    return word;
}
