/* replay — runs a fuzz target without libFuzzer: every file of the corpus, then mutations of each that
 * are the same on every run (flips, cuts, repeats), so that CI exercises the same code in seconds. */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUTATIONS 400
#define FILE_MOST ((size_t)1 << 20)

static uint64_t dice_state = 0x9e3779b97f4a7c15u;

static uint64_t dice(void)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return dice_state;
}

/* In its own exact allocation, so that a sanitizer sees the first byte read beyond it. */
static void run(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy)
        abort();
    memcpy(copy, data, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static void mutate(const uint8_t *data, size_t len)
{
    uint8_t *m = malloc(2 * len + 1);
    if (!m)
        abort();
    for (unsigned k = 0; k < MUTATIONS && len; k++) {
        size_t n = len;
        memcpy(m, data, len);
        for (uint64_t edits = 1 + dice() % 8; edits; edits--) {
            size_t at = dice() % n, span = 1 + dice() % (n - at);
            switch (dice() % 5) {
            case 0:
                m[at] = (uint8_t)dice();
                break;
            case 1:
                m[at] ^= (uint8_t)(1u << (dice() % 8));
                break;
            case 2: /* cut the end */
                n = at + 1;
                break;
            case 3: /* take a piece out */
                memmove(m + at, m + at + span, n - at - span);
                n = n > span ? n - span : 1;
                break;
            default: /* repeat a piece */
                if (n + span <= 2 * len) {
                    memmove(m + at + span, m + at, n - at);
                    n += span;
                }
            }
        }
        run(m, n);
    }
    free(m);
}

int main(int argc, char **argv)
{
    struct dirent **names;
    unsigned files = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 2;
    }
    int n = scandir(argv[1], &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", argv[1], names[i]->d_name);
        FILE *f = names[i]->d_name[0] == '.' ? NULL : fopen(path, "rb");
        free(names[i]);
        if (!f)
            continue;
        uint8_t *data = malloc(FILE_MOST);
        if (!data)
            abort();
        size_t len = fread(data, 1, FILE_MOST, f);
        fclose(f);
        run(data, len);
        mutate(data, len);
        free(data);
        files++;
    }
    if (n >= 0)
        free(names);
    printf("%u corpus files, %u mutations of each: nothing found\n", files, MUTATIONS);
    return files ? 0 : 1; /* an empty corpus proves nothing */
}
