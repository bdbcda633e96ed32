//go:build cgo

#include "scan.h"

#include <string.h>

// Vectors of GCC and Clang: comparisons give 0 or -1 in each lane.
typedef uint8_t lanes __attribute__((vector_size(16)));

// A lane counts to 255.
#define ROUNDS 255

static lanes load(const uint8_t *p) {
  lanes v;
  memcpy(&v, p, sizeof v);
  return v;
}

static uint64_t sum(lanes v) {
  uint64_t n = 0;
  for (int i = 0; i < 16; i++) n += v[i];
  return n;
}

static void scan_byte(struct millrace_scan *s, uint8_t b, uint8_t quote) {
  if (b == '\n') {
    s->newlines++;
    if (s->last == '\n') s->empty++;
  }
  if (b == quote) s->quotes++;
  if (b == '\r') s->returns++;
  s->last = b;
}

void millrace_scan_text(struct millrace_scan *s, const uint8_t *text, uint64_t n, uint8_t quote) {
  if (n == 0) return;
  scan_byte(s, text[0], quote);
  uint64_t i = 1;
  while (i + 16 <= n) {
    lanes newlines = {0}, empty = {0}, quotes = {0}, returns = {0};
    for (int round = 0; round < ROUNDS && i + 16 <= n; round++, i += 16) {
      lanes v = load(text + i);
      lanes newline = (lanes)(v == '\n');
      newlines -= newline;
      empty -= newline & (lanes)(load(text + i - 1) == '\n');
      quotes -= (lanes)(v == quote);
      returns -= (lanes)(v == '\r');
    }
    s->newlines += sum(newlines);
    s->empty += sum(empty);
    s->quotes += sum(quotes);
    s->returns += sum(returns);
  }
  s->last = text[i - 1];
  for (; i < n; i++) scan_byte(s, text[i], quote);
}
