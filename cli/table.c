#include "cli/table.h"
#include "base/utf8.h"

#include "cli/cli.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define GAP 2 /* blanks between columns */

/* How wide it stands on a terminal, taking each character of UTF-8 for one column. */
static unsigned width(const char *s)
{
    unsigned n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

void table_init(struct table *t, const char *const *heads, unsigned columns, unsigned left)
{
    t->columns = columns;
    t->left = left;
    t->rows = t->lost = 0;
    table_row(t);
    for (unsigned i = 0; i < columns; i++)
        table_cell(t, TABLE_BOLD, "%s", heads[i]);
}

/* The column that table_cell() fills next is the first one without a text. */
void table_row(struct table *t)
{
    if (t->rows == TABLE_ROWS) {
        t->lost++;
        return;
    }
    memset(t->cells[t->rows++], 0, sizeof(t->cells[0]));
}

void table_cell(struct table *t, enum table_colour colour, const char *fmt, ...)
{
    struct table_cell *row = t->cells[t->rows - 1];
    unsigned i = 0;
    va_list ap;

    while (i < t->columns && row[i].text[0])
        i++;
    if (i == t->columns || t->lost)
        return;
    va_start(ap, fmt);
    int n = vsnprintf(row[i].text, sizeof(row[i].text), fmt, ap);
    va_end(ap);
    if (n <= 0)
        snprintf(row[i].text, sizeof(row[i].text), "-");
    for (char *p = row[i].text; *p;) {
        size_t one = utf8_plain(p);
        if (!one)
            *p = '?';
        p += one ? one : 1;
    }
    row[i].colour = colour;
}

static void cell_print(const struct table_cell *c, unsigned pad, bool left, bool last, bool colours)
{
    static const char *const codes[] = {"", "\033[1m", "\033[32m", "\033[33m", "\033[31m"};
    bool coloured = colours && c->colour != TABLE_PLAIN;

    printf("%*s%s%s%s%*s", left ? 0 : (int)pad, "", coloured ? codes[c->colour] : "", c->text,
           coloured ? "\033[0m" : "", left && !last ? (int)pad : 0, "");
}

/* The column behind the last one that fits in `room` with the first one and all from `from` on. */
static unsigned block_end(const struct table *t, const unsigned *widths, unsigned from,
                          unsigned room)
{
    unsigned used = widths[0], to = from;

    while (to < t->columns && (to == from || used + GAP + widths[to] <= room))
        used += GAP + widths[to++];
    return to;
}

static void block_print(const struct table *t, const unsigned *widths, unsigned from, unsigned to,
                        unsigned indent, bool colours)
{
    for (unsigned r = 0; r < t->rows; r++) {
        printf("%*s", (int)indent, "");
        for (unsigned i = 0; i < to; i = i ? i + 1 : from) {
            const struct table_cell *c = &t->cells[r][i];
            printf("%*s", i ? GAP : 0, "");
            cell_print(c, widths[i] - width(c->text), t->left >> i & 1, i + 1 == to, colours);
        }
        putchar('\n');
    }
}

void table_print(const struct table *t, unsigned indent, unsigned room, bool colours)
{
    unsigned widths[TABLE_COLUMNS] = {0}, from = 1;

    for (unsigned r = 0; r < t->rows; r++)
        for (unsigned i = 0; i < t->columns; i++) {
            unsigned w = width(t->cells[r][i].text);
            widths[i] = w > widths[i] ? w : widths[i];
        }
    room = room > indent ? room - indent : room ? 1 : UINT_MAX;
    do {
        unsigned to = block_end(t, widths, from, room);
        if (from > 1)
            putchar('\n');
        block_print(t, widths, from, to, indent, colours);
        from = to;
    } while (from < t->columns);
    if (t->lost)
        printf("%*s(and %u more)\n", (int)indent, "", t->lost);
}
