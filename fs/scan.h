/**
 * scan — who only looks around: thumbnailers, indexers, the scanners of media servers.
 *
 * Shape     A list of names, made once, and a look into /proc for each process that asks.
 * Names     As in /proc/PID/comm: 15 characters at most. Either the thread's or its process's will do. With a
 *           slash: a path in /proc/PID/cgroup. `*`, `?` and `[` as fnmatch(3) has them, also across slashes.
 *           The word `default` stands for FS_SCAN_DEFAULT.
 * Threads   Any, once it is made.
 * Errors    Who cannot be looked at (gone, or out of sight in another namespace: pid 0) is not a scanner.
 */
#ifndef FS_SCAN_H
#define FS_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#define FS_SCAN_COMM 16 /* the kernel's TASK_COMM_LEN: a name and its NUL */

#define FS_SCAN_DEFAULT                                                                            \
    "ffprobe mediainfo mkvinfo mkvmerge exiftool file tracker-extract tracker-miner-f* "           \
    "localsearch* tumblerd ffmpegthumbnail* totem-video-thu* gnome-thumbnail* kio_thumbnail* "     \
    "thumbnail.so baloo_file* updatedb* clamscan clamd \"Plex Media Scan*\" "                      \
    "\"Plex Media Anal*\" \"Plex Media Fing*\""

struct fs_scan;

/** `names` as in base/words.h (copied); NULL or "": nobody. NULL: no memory. What is no word is left out. */
struct fs_scan *fs_scan_new(const char *names);
void fs_scan_free(struct fs_scan *s);

/** Is the thread or process `pid` one? */
bool fs_scan_is(const struct fs_scan *s, int64_t pid);

/** The same, and what it is called, which is looked up once for both; "": it cannot be looked at. */
bool fs_scan_look(const struct fs_scan *s, int64_t pid, char comm[FS_SCAN_COMM]);

/** Would a process so called be one? */
bool fs_scan_is_named(const struct fs_scan *s, const char *comm);

#endif
