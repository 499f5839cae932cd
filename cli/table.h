/**
 * table — rows of text in aligned columns, for people.
 *
 * Shape     Cells go in from left to right, row by row; table_print() knows the widths and writes all. The
 *           first column stands left, others right, unless told. What came from outside is made
 *           printable. Colour only where asked for.
 * Memory    Inside: at most TABLE_ROWS rows of TABLE_COLUMNS; what is beyond is left out, and told.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#define TABLE_COLUMNS 12
#define TABLE_ROWS    48
#define TABLE_CELL    64

enum table_colour { TABLE_PLAIN, TABLE_BOLD, TABLE_GREEN, TABLE_YELLOW, TABLE_RED };

struct table {
    struct table_cell {
        char text[TABLE_CELL];
        enum table_colour colour;
    } cells[TABLE_ROWS][TABLE_COLUMNS];
    unsigned left; /* bit i: column i stands left */
    unsigned columns, rows, lost;
};

/** Empty, with this head. `left`: see struct table. */
void table_init(struct table *t, const char *const *heads, unsigned columns, unsigned left);

void table_row(struct table *t);

/** The next cell of the last row. */
void table_cell(struct table *t, enum table_colour colour, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** On standard output, each line behind `indent` blanks. Where that is wider than `room` (0: nothing is), the
 *  columns stand in several blocks, each with the first column in front. */
void table_print(const struct table *t, unsigned indent, unsigned room, bool colours);

#endif
