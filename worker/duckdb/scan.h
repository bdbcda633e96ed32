// What a pass over text finds, 16 bytes at a time and more.
#ifndef MILLRACE_DUCKDB_SCAN_H
#define MILLRACE_DUCKDB_SCAN_H

#include <stdint.h>

struct millrace_scan {
  uint64_t newlines;
  uint64_t empty;           // newlines right behind a newline, outside quotes
  uint64_t quotes;
  uint64_t returns;         // carriage returns
  uint64_t quoted_newlines; // where each quote begins or ends a quoted part
  uint8_t odd;              // a quote opens where no field begins
  uint8_t inside;           // the text so far ends between quotes
  uint8_t last;             // the byte before the text: a newline at its start
};

void millrace_scan_text(struct millrace_scan *s, const uint8_t *text, uint64_t n, uint8_t quote, uint8_t delimiter);

#endif
