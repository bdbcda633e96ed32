//go:build !cgo

package duckdb

// Built says whether this build has SQL.
const Built = false
