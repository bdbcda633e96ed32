//go:build cgo

#include "arrow.h"
#include "_cgo_export.h"

void *millrace_stream_bind(void) { return (void *)millraceStreamBind; }

void *millrace_stream_init(void) { return (void *)millraceStreamInit; }

void *millrace_stream_next(void) { return (void *)millraceStreamNext; }
