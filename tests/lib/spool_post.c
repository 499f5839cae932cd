/* Articles that clients post. */
#include "tests/lib/spool_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* RFC 3977 §3.6: with < and > at most 250 octets. */
#define ID_MAX 248

/* Length of the header at `p`, with its CRLF, if it is one: "Name: …". */
static size_t header_len(const char *p, const char *end)
{
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    if (!nl || nl == p || nl[-1] != '\r')
        return 0;
    bool folded = *p == ' ' || *p == '\t';
    const char *colon = memchr(p, ':', (size_t)(nl - p));
    if (!folded && (!colon || colon == p))
        return 0;
    return (size_t)(nl + 1 - p);
}

static bool id_is_good(const char *id, size_t len)
{
    if (len < 1 || len > ID_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (id[i] <= ' ' || id[i] > '~' || id[i] == '<' || id[i] == '>')
            return false;
    return true;
}

/* The value of Message-ID without < >, in the header at `p` of `len` bytes. */
static bool id_take(const char *p, size_t len, const char **id, size_t *idlen)
{
    static const char name[] = "Message-ID:";
    if (len < sizeof(name) || strncasecmp(p, name, sizeof(name) - 1) != 0)
        return false;
    const char *open = memchr(p, '<', len), *close = memchr(p, '>', len);
    if (!open || !close || close < open)
        return false;
    *id = open + 1;
    *idlen = (size_t)(close - open - 1);
    return id_is_good(*id, *idlen);
}

/* Checks the article's form; finds the end of its headers and its message-id. */
static bool article_scan(const char *wire, size_t len, size_t *head, const char **id, size_t *idlen)
{
    const char *p = wire, *end = wire + len;
    bool found = false;
    if (len < 5 || memcmp(end - 5, "\r\n.\r\n", 5) != 0)
        return false;
    while (end - p >= 2 && memcmp(p, "\r\n", 2) != 0) {
        size_t n = header_len(p, end);
        if (n == 0)
            return false;
        if (id_take(p, n, id, idlen)) {
            if (found)
                return false;
            found = true;
        }
        p += n;
    }
    *head = (size_t)(p - wire) + 2;
    return found && *head + 3 <= len;
}

static struct spool_item *item_new(const void *wire, size_t len, size_t head, const char *id,
                                   size_t idlen)
{
    struct spool_item *it = calloc(1, sizeof(*it) + idlen + 1);
    struct spool_article *a = calloc(1, sizeof(*a));
    uint8_t *bytes = malloc(len);
    if (!it || !a || !bytes) {
        free(it);
        free(a);
        free(bytes);
        return NULL;
    }
    char *own = (char *)(it + 1);
    memcpy(own, id, idlen);
    memcpy(bytes, wire, len);
    *a = (struct spool_article){.bytes = bytes, .len = len, .head = head, .message_id = own};
    it->message_id = own;
    atomic_store(&it->ready, a);
    return it;
}

int spool_post(struct spool *s, const void *wire, size_t len)
{
    size_t head = 0, idlen = 0;
    const char *id = NULL;
    if (!article_scan(wire, len, &head, &id, &idlen))
        return -EINVAL;
    struct spool_item *it = item_new(wire, len, head, id, idlen);
    if (!it)
        return -ENOMEM;
    pthread_mutex_lock(&s->lock);
    /* Room in the list first: once an item is in the table it cannot be taken out again. */
    struct spool_item **posted = realloc(s->posted, (s->nposted + 1) * sizeof(*posted));
    int err = posted ? 0 : -ENOMEM;
    if (posted)
        s->posted = posted;
    if (!err)
        err = spool_table_add(s, it);
    if (!err)
        s->posted[s->nposted++] = it;
    pthread_mutex_unlock(&s->lock);
    if (err) {
        spool_article_free(atomic_load(&it->ready));
        free(it);
    }
    return err;
}
