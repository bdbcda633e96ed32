//go:build cgo

#include "scan.h"

static void scan_byte(struct millrace_scan *s, uint8_t b, uint8_t quote, uint8_t delimiter) {
  if (b == quote) {
    s->quotes++;
    if (!s->inside && s->last != delimiter && s->last != '\n' && s->last != quote) s->odd = 1;
    s->inside = !s->inside;
  } else if (b == '\n') {
    s->newlines++;
    s->quoted_newlines += s->inside;
    if (s->last == '\n' && !s->inside) s->empty++;
  } else if (b == '\r') {
    s->returns++;
  }
  s->last = b;
}

#ifdef __SSE2__
#include <emmintrin.h>

// The bits of 64 bytes that are b.
static inline uint64_t bits(const uint8_t *text, uint8_t b) {
  __m128i want = _mm_set1_epi8((char)b);
  uint64_t mask = 0;
  for (int i = 0; i < 4; i++) {
    __m128i v = _mm_loadu_si128((const __m128i *)(text + 16 * i));
    mask |= (uint64_t)(uint16_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, want)) << (16 * i);
  }
  return mask;
}

// Counts ones without a processor's instruction for it, which not all have.
static inline uint64_t ones(uint64_t x) {
  x -= (x >> 1) & 0x5555555555555555u;
  x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
  return (((x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u) >> 56;
}

// Each bit is the parity of the bits up to it.
static inline uint64_t parity(uint64_t x) {
  for (int shift = 1; shift < 64; shift *= 2) x ^= x << shift;
  return x;
}

static void scan_block(struct millrace_scan *s, const uint8_t *text, uint8_t quote, uint8_t delimiter) {
  uint64_t newlines = bits(text, '\n'), quotes = bits(text, quote), returns = bits(text, '\r');
  uint64_t after_newline = newlines << 1 | (s->last == '\n');
  uint64_t inside = s->inside ? ~(uint64_t)0 : 0;
  if (quotes) {
    inside ^= parity(quotes);
    uint64_t opens = quotes & inside;
    uint64_t fine = after_newline | quotes << 1 | bits(text, delimiter) << 1 | (s->last == delimiter || s->last == quote);
    if (opens & ~fine) s->odd = 1;
    s->quotes += ones(quotes);
    s->inside = inside >> 63;
  }
  s->newlines += ones(newlines);
  if (newlines & inside) s->quoted_newlines += ones(newlines & inside);
  if (newlines & after_newline & ~inside) s->empty += ones(newlines & after_newline & ~inside);
  if (returns) s->returns += ones(returns);
  s->last = text[63];
}

// Counts the newlines of 1 KiB where nothing else matters: no quote, no carriage
// return, no empty line. Gives -1 where something does.
static int plain_newlines(const uint8_t *text, uint8_t last, uint8_t quote) {
  const __m128i newline = _mm_set1_epi8('\n'), quotes = _mm_set1_epi8((char)quote), cr = _mm_set1_epi8('\r');
  __m128i count = _mm_setzero_si128(), other = _mm_setzero_si128(); // 64 bytes a lane: no lane overflows
  __m128i before = _mm_slli_si128(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)text), newline), 1);
  if (last == '\n' && text[0] == '\n') return -1;
  for (int i = 0; i < 1024; i += 16) {
    __m128i v = _mm_loadu_si128((const __m128i *)(text + i)), ends = _mm_cmpeq_epi8(v, newline);
    if (i > 0) before = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(text + i - 1)), newline);
    count = _mm_sub_epi8(count, ends);
    other = _mm_or_si128(other, _mm_or_si128(_mm_and_si128(ends, before), _mm_or_si128(_mm_cmpeq_epi8(v, quotes), _mm_cmpeq_epi8(v, cr))));
  }
  if (_mm_movemask_epi8(other)) return -1;
  __m128i sums = _mm_sad_epu8(count, _mm_setzero_si128());
  return _mm_cvtsi128_si32(sums) + _mm_cvtsi128_si32(_mm_srli_si128(sums, 8));
}

void millrace_scan_text(struct millrace_scan *s, const uint8_t *text, uint64_t n, uint8_t quote, uint8_t delimiter) {
  struct millrace_scan local = *s; // in registers
  uint64_t i = 0;
  while (i + 1024 <= n) {
    int newlines = local.inside ? -1 : plain_newlines(text + i, local.last, quote);
    if (newlines >= 0) {
      local.newlines += newlines;
      local.last = text[i + 1023];
      i += 1024;
      continue;
    }
    for (uint64_t end = i + 1024; i < end; i += 64) scan_block(&local, text + i, quote, delimiter);
  }
  for (; i + 64 <= n; i += 64) scan_block(&local, text + i, quote, delimiter);
  for (; i < n; i++) scan_byte(&local, text[i], quote, delimiter);
  *s = local;
}

#else

void millrace_scan_text(struct millrace_scan *s, const uint8_t *text, uint64_t n, uint8_t quote, uint8_t delimiter) {
  for (uint64_t i = 0; i < n; i++) scan_byte(s, text[i], quote, delimiter);
}

#endif
