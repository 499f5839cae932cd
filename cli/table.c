#include "cli/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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
    for (char *p = row[i].text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    row[i].colour = colour;
}

static void cell_print(const struct table_cell *c, unsigned pad, bool left, bool last, bool colours)
{
    static const char *const codes[] = {"", "\033[1m", "\033[32m", "\033[33m", "\033[31m"};
    bool coloured = colours && c->colour != TABLE_PLAIN;

    printf("%*s%s%s%s%*s", left ? 0 : (int)pad, "", coloured ? codes[c->colour] : "", c->text,
           coloured ? "\033[0m" : "", left && !last ? (int)pad : 0, "");
}

void table_print(const struct table *t, unsigned indent, bool colours)
{
    unsigned widths[TABLE_COLUMNS] = {0};

    for (unsigned r = 0; r < t->rows; r++)
        for (unsigned i = 0; i < t->columns; i++) {
            unsigned w = width(t->cells[r][i].text);
            widths[i] = w > widths[i] ? w : widths[i];
        }
    for (unsigned r = 0; r < t->rows; r++) {
        printf("%*s", (int)indent, "");
        for (unsigned i = 0; i < t->columns; i++) {
            const struct table_cell *c = &t->cells[r][i];
            printf("%s", i ? "  " : "");
            cell_print(c, widths[i] - width(c->text), t->left >> i & 1, i + 1 == t->columns,
                       colours);
        }
        putchar('\n');
    }
    if (t->lost)
        printf("%*s(and %u more)\n", (int)indent, "", t->lost);
}
