// The few functions of DuckDB's C interface that carry Arrow data, and the
// functions of ours that it calls. The Go bindings offer the former behind a
// build tag only; declared here they need none. Handles are opaque pointers, as
// everywhere in that interface.
#ifndef MILLRACE_DUCKDB_ARROW_H
#define MILLRACE_DUCKDB_ARROW_H

#include <stdint.h>

struct ArrowSchema;
struct ArrowArray;

extern void *duckdb_to_arrow_schema(void *options, void **types, const char **names, uint64_t columns,
                                    struct ArrowSchema *out);
extern void *duckdb_data_chunk_to_arrow(void *options, void *chunk, struct ArrowArray *out);
extern void *duckdb_schema_from_arrow(void *connection, struct ArrowSchema *schema, void **out);
extern void *duckdb_data_chunk_from_arrow(void *connection, struct ArrowArray *array, void *converted, void **out);
extern void duckdb_destroy_arrow_converted_schema(void **schema);

// The table function of streams: bind tells its columns, init learns which of
// them a query wants, next fills a chunk.
void *millrace_stream_bind(void);
void *millrace_stream_init(void);
void *millrace_stream_next(void);

#endif
