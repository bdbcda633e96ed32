// The few functions of DuckDB's C interface that carry Arrow data. The Go
// bindings offer them behind a build tag only; declared here they need none.
// Handles are opaque pointers, as everywhere in that interface.
#ifndef MILLRACE_DUCKDB_ARROW_H
#define MILLRACE_DUCKDB_ARROW_H

#include <stdint.h>

struct ArrowSchema;
struct ArrowArray;

extern void *duckdb_to_arrow_schema(void *options, void **types, const char **names, uint64_t columns,
                                    struct ArrowSchema *out);
extern void *duckdb_data_chunk_to_arrow(void *options, void *chunk, struct ArrowArray *out);
extern int duckdb_arrow_scan(void *connection, const char *table, void *stream);

#endif
