/* A configuration of any bytes, and settings of any bytes on top: refused with one line, or sound. The
 * input is a file, then, each behind a byte 1, the settings. */

#include "base/config.h"
#include "base/log.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SETTINGS 8

static void must(int holds)
{
    if (!holds)
        abort();
}

static void expect_provider(const struct config_provider *p)
{
    must(p->name && *p->name && p->host && *p->host);
    must(!p->username == !p->password);
    must(p->port >= 1 && p->port <= 65535 && p->connections >= 1 && p->connections <= 1000);
    must(p->weight >= 1 && p->pipelining >= 1);
}

static void expect_shares(const struct config *c)
{
    unsigned sum = 0, total = c->pool.connections;

    must(total >= 1 && c->pool.reserve < total);
    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
        const struct config_class *cl = &c->classes[k];
        must(cl->guaranteed <= cl->burst && cl->burst >= 1 && cl->burst <= total);
        must(cl->weight >= 1);
        sum += cl->guaranteed;
    }
    must(sum <= total);
    for (unsigned who = 0; who < 1u << TRAFFIC_CLASSES; who++) {
        bool busy[TRAFFIC_CLASSES];
        unsigned n[TRAFFIC_CLASSES], leased = 0;
        for (unsigned k = 0; k < TRAFFIC_CLASSES; k++)
            busy[k] = who >> k & 1;
        config_shares_when(c, busy, n);
        for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
            must(n[k] <= c->classes[k].burst && (busy[k] || !n[k]));
            leased += n[k];
        }
        must(leased <= total);
    }
}

static void expect_sound(const struct config *c)
{
    must(c->nproviders >= 1 && c->nproviders <= CONFIG_PROVIDERS);
    for (unsigned i = 0; i < c->nproviders; i++)
        expect_provider(&c->providers[i]);
    expect_shares(c);
    must(c->timeouts.connect_s && c->timeouts.stall_s && c->timeouts.idle_s && c->timeouts.probe_s);
    must(c->mount.umask <= 0777 && c->mount.uid >= -1 && c->mount.gid >= -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *settings[SETTINGS];
    char err[300];
    struct config *c = NULL;
    unsigned n = 0;
    char *text = malloc(size + 1);

    must(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    char *end = memchr(text, 1, size);
    size_t len = end ? (size_t)(end - text) : size;
    for (char *s = end; s && n < SETTINGS; s = strchr(s, 1)) {
        *s++ = '\0';
        settings[n++] = s;
    }
    log_set_level(LOG_AT_ERROR);
    memset(err, 0, sizeof(err));
    /* Relative to a folder that is not there: no file of this machine is read. */
    if (config_parse_with(text, len, "/nonexistent/t.conf", settings, n, &c, err, sizeof(err)) == 0)
        expect_sound(c);
    else
        must(!c && *err && memchr(err, '\0', sizeof(err)));
    config_free(c);
    free(text);
    return 0;
}
