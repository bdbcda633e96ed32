// What a pass over text finds, 16 bytes at a time.
#ifndef MILLRACE_DUCKDB_SCAN_H
#define MILLRACE_DUCKDB_SCAN_H

#include <stdint.h>

struct millrace_scan {
  uint64_t newlines;
  uint64_t empty;   // newlines right behind a newline, or at the very start
  uint64_t quotes;
  uint64_t returns; // carriage returns
  uint8_t last;     // the byte before the text: a newline at the very start
};

void millrace_scan_text(struct millrace_scan *s, const uint8_t *text, uint64_t n, uint8_t quote);

#endif
