// Package duckdb is a thin layer over the DuckDB library that is linked into
// the worker: locked-down instances, queries that stream Arrow record batches
// and can be cancelled, Arrow streams as tables, and anonymous files that hold
// a batch's text for DuckDB to read. What is asked of DuckDB, and what a query
// may see, is decided by its callers.
//
// The library needs cgo. A build without it has the same functions, which all
// answer ErrNotBuilt.
package duckdb

import (
	"errors"
	"fmt"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
)

// ErrNotBuilt is what every function of a build without cgo answers.
var ErrNotBuilt = errors.New("this build has no SQL: build with cgo and a C++ compiler")

// Options say what an instance may use and see.
type Options struct {
	// Threads that a query may use, the caller's own among them; 1 when 0.
	Threads int
	// MemoryBytes that the instance may use for its data; DuckDB's own default
	// (most of the machine) when 0.
	MemoryBytes int64
	// TempDir is where queries spill when memory runs out; they fail for want
	// of memory when empty. It is made when first needed.
	TempDir string
	// MaxTempBytes bounds what is spilled; no bound of its own when 0.
	MaxTempBytes int64
	// AllowedPaths are the files that queries may read once the instance is
	// locked, as exact paths with all symbolic links resolved.
	AllowedPaths []string
}

// Kind is the kind of an error: what the caller can do about it.
type Kind int

const (
	// KindQuery is a fault of the query itself: it can't be parsed or bound.
	KindQuery Kind = iota
	// KindData is a failure on the data that the query met: a conversion, an
	// overflow, a malformed file.
	KindData
	// KindMemory says that the instance's memory did not suffice.
	KindMemory
	// KindPermission is an attempt to reach what the instance may not see.
	KindPermission
	// KindInterrupt says that the query was interrupted.
	KindInterrupt
	// KindIO is a file that could not be read or written.
	KindIO
	// KindInternal is a fault of DuckDB itself.
	KindInternal
)

// String is the kind in one word.
func (k Kind) String() string {
	return [...]string{"query", "data", "memory", "permission", "interrupt", "io", "internal"}[k]
}

// Error is what DuckDB said.
type Error struct {
	// Kind of the error.
	Kind Kind
	// Message is DuckDB's own, with the line and the caret under the place of
	// a syntax error.
	Message string
	// Line and Column are where in the query the fault is, from 1; 0 where
	// unknown.
	Line, Column int
}

// Error is DuckDB's message.
func (e *Error) Error() string { return e.Message }

// KindOf is the kind of err, and whether err came from DuckDB at all.
func KindOf(err error) (Kind, bool) {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind, true
	}
	return 0, false
}

// locate reads the place out of DuckDB's message: a line "LINE n: …" of the
// query with a caret below it.
func (e *Error) locate() *Error {
	_, rest, ok := strings.Cut(e.Message, "\nLINE ")
	if !ok {
		return e
	}
	quoted, caret, _ := strings.Cut(rest, "\n")
	at := strings.IndexByte(caret, '^')
	prefix := strings.Index(quoted, ": ")
	if _, err := fmt.Sscanf(quoted, "%d", &e.Line); err != nil || at < 0 || prefix < 0 {
		e.Line = 0
		return e
	}
	e.Column = max(at-len("LINE ")-prefix-1, 1)
	return e
}

// QuoteString is text as a SQL string literal.
func QuoteString(text string) string {
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}

// QuoteName is name as a quoted SQL identifier.
func QuoteName(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// ColumnList is columns as they stand in a CREATE TABLE.
func ColumnList(columns []*pb.Column) string {
	list := make([]string, len(columns))
	for i, column := range columns {
		list[i] = QuoteName(column.Name) + " " + column.Type
	}
	return strings.Join(list, ", ")
}
