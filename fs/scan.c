#include "fs/scan.h"

#include "base/words.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMM_LEN  (FS_SCAN_COMM - 1)

/* Of a file in /proc no more is looked at: Tgid is in the first lines of status, and a cgroup path this long
 * would be cut. */
#define PROC_MOST 4096

struct fs_scan {
    bool has_paths;
    unsigned n;
    char *words[]; /* into the same allocation */
};

/* --- the list ---------------------------------------------------------------------------------- */

static bool is_default(const char *word, size_t len)
{
    return len == strlen("default") && memcmp(word, "default", len) == 0;
}

/* How many words `names` has, those behind `default` included; and, where `s` is not NULL, write them. */
static unsigned list(struct fs_scan *s, const char *names, char **text, size_t *room)
{
    const char *at = names, *word, *bad;
    unsigned n = 0;
    size_t len;
    while ((word = words_next(&at, &len, &bad))) {
        if (is_default(word, len)) {
            n += list(s, FS_SCAN_DEFAULT, text, room);
            continue;
        }
        n++;
        *room += len + 1;
        if (!s)
            continue;
        s->words[s->n++] = *text;
        memcpy(*text, word, len);
        (*text)[len] = '\0';
        s->has_paths |= strchr(*text, '/') != NULL;
        *text += len + 1;
    }
    return n;
}

struct fs_scan *fs_scan_new(const char *names)
{
    size_t room = 0;
    char *text = NULL;
    if (!names)
        names = "";
    unsigned n = list(NULL, names, &text, &room);
    struct fs_scan *s = calloc(1, sizeof(*s) + n * sizeof(s->words[0]) + room);
    if (!s)
        return NULL;
    text = (char *)&s->words[n];
    list(s, names, &text, &room);
    return s;
}

void fs_scan_free(struct fs_scan *s)
{
    free(s);
}

/* --- a process --------------------------------------------------------------------------------- */

bool fs_scan_is_named(const struct fs_scan *s, const char *comm)
{
    bool cut = strlen(comm) == COMM_LEN;
    for (unsigned k = 0; k < s->n; k++) {
        const char *w = s->words[k];
        if (strchr(w, '/'))
            continue;
        if (fnmatch(w, comm, 0) == 0)
            return true;
        /* Somebody wrote the whole of a name that the kernel cuts. */
        if (cut && strlen(w) > COMM_LEN && strncmp(w, comm, COMM_LEN) == 0)
            return true;
    }
    return false;
}

static bool path_matches(const struct fs_scan *s, const char *path)
{
    for (unsigned k = 0; k < s->n; k++)
        if (strchr(s->words[k], '/') && fnmatch(s->words[k], path, 0) == 0)
            return true;
    return false;
}

/* Its beginning, as text. False: it cannot be had. */
static bool proc_read(int64_t pid, const char *name, char text[PROC_MOST])
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, PROC_MOST - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    return true;
}

static void comm_read(int64_t pid, char comm[FS_SCAN_COMM])
{
    char text[PROC_MOST];
    if (!proc_read(pid, "comm", text))
        text[0] = '\0';
    size_t len = strcspn(text, "\n");
    len = len < COMM_LEN ? len : COMM_LEN;
    memcpy(comm, text, len);
    comm[len] = '\0';
}

/* The process that thread `pid` is of; itself where that cannot be told. */
static int64_t process_of(int64_t pid)
{
    char status[PROC_MOST];
    const char *line = proc_read(pid, "status", status) ? strstr(status, "\nTgid:") : NULL;
    long long tgid = line ? strtoll(line + strlen("\nTgid:"), NULL, 10) : 0;
    return tgid > 0 ? tgid : pid;
}

/* Each line is number:controllers:path. */
static bool is_in_group(const struct fs_scan *s, int64_t pid)
{
    char text[PROC_MOST], *rest = text, *line;
    if (!proc_read(pid, "cgroup", text))
        return false;
    while ((line = strsep(&rest, "\n"))) {
        const char *path = strchr(line, ':');
        path = path ? strchr(path + 1, ':') : NULL;
        if (path && path_matches(s, path + 1))
            return true;
    }
    return false;
}

/* Of the thread that is called `comm`. */
static bool scans(const struct fs_scan *s, int64_t pid, const char *comm)
{
    char leads[FS_SCAN_COMM];
    if (pid <= 0 || !s->n)
        return false;
    if ((*comm && fs_scan_is_named(s, comm)) || (s->has_paths && is_in_group(s, pid)))
        return true;
    int64_t leader = process_of(pid);
    if (leader == pid)
        return false;
    comm_read(leader, leads);
    return *leads && fs_scan_is_named(s, leads);
}

bool fs_scan_look(const struct fs_scan *s, int64_t pid, char comm[FS_SCAN_COMM])
{
    comm[0] = '\0';
    if (pid > 0)
        comm_read(pid, comm);
    return scans(s, pid, comm);
}

bool fs_scan_is(const struct fs_scan *s, int64_t pid)
{
    char comm[FS_SCAN_COMM];
    return s->n && fs_scan_look(s, pid, comm);
}
