//go:build cgo

package duckdb

// #if defined(__linux__) && defined(__GLIBC__)
// #include <malloc.h>
// static void millrace_return_memory(int bytes) { mallopt(M_MMAP_THRESHOLD, bytes); }
// #else
// static void millrace_return_memory(int bytes) { (void)bytes; }
// #endif
import "C"

import "sync"

// ownPages is from which size on an allocation of C gets pages of its own, in
// bytes: below the size of DuckDB's blocks.
const ownPages = 128 << 10

// returnMemory makes glibc give each block that DuckDB frees back to the system.
// Left alone it learns from the first ones that such blocks are common, and
// keeps them in heaps with holes: a sort that spills then takes twice the memory
// that DuckDB counts.
var returnMemory = sync.OnceFunc(func() { C.millrace_return_memory(ownPages) })
