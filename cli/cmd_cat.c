#include "cli/cli.h"
#include "cli/compose.h"

#include <zlib.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: nzbfs cat [-p] [-c FILE] SOURCE PATH\n"
    "\n"
    "Write the file PATH of SOURCE to standard output, as far as it can be had: a missing or\n"
    "damaged part ends it with an error and status 1.\n"
    "\n"
    "  -p, --posted        PATH is of what was posted, whatever is in it\n"
    "  -c, --config FILE   read FILE in place of the user's or the system's nzbfs.conf\n";

#define PIECE ((size_t)1 << 20)

/* 0 or -errno. */
static int write_all(int fd, const char *buf, size_t len)
{
    while (len) {
        ssize_t n = write(fd, buf, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        buf += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Were missing bytes shown as zeros, as the user wishes? Then no checksum holds. */
static bool zeroed(const struct fs_node *file)
{
    struct fs_health health;

    fs_node_health(file, &health);
    return health.zeroed != 0;
}

static int file_write(struct fs *fs, struct fs_node *file, struct fs_handle *h, char *buf)
{
    uint64_t off = 0;
    uLong crc = 0;
    uint32_t told;

    for (;;) {
        ssize_t n = fs_read_wait(fs, file, h, buf, PIECE, off);
        if (n < 0) {
            cli_error("%s: at byte %llu: %s", fs_node_name(file), (unsigned long long)off,
                      strerror((int)-n));
            return CLI_FAILED;
        }
        if (n == 0 && !zeroed(file) && fs_node_crc32(file, &told) && told != (uint32_t)crc) {
            cli_error(
                "%s: its bytes are not those that the archive speaks of (CRC-32 %08x, not %08x): a "
                "wrong password, or it was posted damaged",
                fs_node_name(file), (unsigned)crc, told);
            return CLI_FAILED;
        }
        if (n == 0)
            return CLI_OK;
        crc = crc32(crc, (const Bytef *)buf, (uInt)n);
        int rc = write_all(STDOUT_FILENO, buf, (size_t)n);
        if (rc == -EPIPE)
            return -EPIPE;
        if (rc < 0) {
            cli_error("cannot write to standard output: %s", strerror(-rc));
            return CLI_FAILED;
        }
        off += (uint64_t)n;
    }
}

static int cat(struct fs *fs, const char *path)
{
    struct fs_node *file = cli_find(fs, path);

    if (!file)
        return CLI_FAILED;
    if (fs_node_is_dir(file)) {
        cli_error("%s: is a directory; name a file in it", path);
        return CLI_FAILED;
    }
    char *buf = malloc(PIECE);
    struct fs_handle *h = buf ? fs_handle_open(fs, file) : NULL;
    int status = CLI_FAILED;
    if (h) {
        status = file_write(fs, file, h, buf);
        fs_handle_close(h);
    } else {
        cli_error("out of memory");
    }
    free(buf);
    return status;
}

int cmd_cat(int argc, char **argv)
{
    static const struct option longs[] = {{"posted", no_argument, NULL, 'p'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    const char *config = NULL;
    bool posted = false;
    struct compose w;
    int opt;

    while ((opt = getopt_long(argc, argv, ":pc:h", longs, NULL)) != -1) {
        if (opt == 'h')
            return cli_help(help);
        if (opt == 'p') {
            posted = true;
            continue;
        }
        if (opt != 'c')
            return cli_bad_option("cat", argc, argv);
        config = optarg;
    }
    if (argc - optind != 2)
        return cli_usage("cat", "cat needs a SOURCE and one PATH");
    if (compose_for_command(&w, config, argv[optind], posted) != CLI_OK)
        return CLI_FAILED;
    int status = cat(w.fs, argv[optind + 1]);
    compose_stop(&w);
    if (status == -EPIPE) {
        /* The reader has seen enough: end as any filter does. */
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
        return CLI_FAILED;
    }
    return status;
}
