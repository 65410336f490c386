// Version and texts of status codes.
#include "bptt.h"

const char *bptt_version(void) { return BPTT_VERSION; }

const char *bptt_status_text(bptt_status s)
{
    switch (s) {
#define STATUS_TEXT(name, number, text) \
    case BPTT_##name: return text;
        BPTT_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "an unknown status";
}
