/* format — reasons, in words. */
#include "archive/format.h"

const char *archive_why_text(enum archive_why w)
{
    switch (w) {
    case ARCHIVE_OK:
        return "nothing is wrong with it";
    case ARCHIVE_COMPRESSED:
        return "it is compressed: only what is stored can be streamed";
    case ARCHIVE_VOLUME_LACKS:
        return "a volume that it needs is not in the NZB";
    case ARCHIVE_NO_PASSWORD:
        return "it is encrypted and no password is known (the NZB's name may have it in {{ }}, or a list that "
               "[mount] passwords names)";
    case ARCHIVE_BAD_PASSWORD:
        return "it is encrypted and none of the known passwords is right (see [mount] passwords)";
    case ARCHIVE_CIPHER:
        return "it is encrypted in a way that nzbfs does not read";
    case ARCHIVE_UNREADABLE:
        return "articles that hold its headers cannot be had";
    case ARCHIVE_DAMAGED:
        return "its headers are damaged";
    case ARCHIVE_UNKNOWN:
        return "it uses a version or feature that nzbfs does not read";
    case ARCHIVE_TOO_MUCH:
        return "it has more entries, or asks for more work with passwords, than nzbfs takes";
    }
    return "";
}
