#include "base/source.h"

const char *segment_result_name(enum segment_result r)
{
    switch (r) {
    case SEGMENT_DONE:
        return "done";
    case SEGMENT_MISSING:
        return "missing";
    case SEGMENT_CORRUPT:
        return "corrupt";
    case SEGMENT_FAILED:
        return "failed";
    case SEGMENT_TIMEOUT:
        return "timed out";
    case SEGMENT_NOSPACE:
        return "no space";
    case SEGMENT_CANCELLED:
        return "cancelled";
    }
    return "unknown";
}
