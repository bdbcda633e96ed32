//go:build cgo

package duckdb

// #include <stdlib.h>
// #include "arrow.h"
import "C"

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/cdata"
	bindings "github.com/duckdb/duckdb-go-bindings"
)

// importSchema is the schema of the result, as Arrow has it.
func (r *Result) importSchema() (*arrow.Schema, error) {
	columns := int(bindings.ColumnCount(&r.result))
	if columns == 0 {
		return nil, errNoSchema
	}
	types := unsafe.Slice((*unsafe.Pointer)(C.calloc(C.size_t(columns), C.size_t(unsafe.Sizeof(uintptr(0))))), columns)
	defer C.free(unsafe.Pointer(unsafe.SliceData(types)))
	names := unsafe.Slice((**C.char)(C.calloc(C.size_t(columns), C.size_t(unsafe.Sizeof(uintptr(0))))), columns)
	defer C.free(unsafe.Pointer(unsafe.SliceData(names)))
	for i := range columns {
		logical := bindings.ColumnLogicalType(&r.result, bindings.IdxT(i))
		defer bindings.DestroyLogicalType(&logical)
		types[i] = logical.Ptr
		names[i] = C.CString(bindings.ColumnName(&r.result, bindings.IdxT(i)))
		defer C.free(unsafe.Pointer(names[i]))
	}
	var schema cdata.CArrowSchema
	failure := C.duckdb_to_arrow_schema(r.options.Ptr, unsafe.SliceData(types), unsafe.SliceData(names),
		C.uint64_t(columns), (*C.struct_ArrowSchema)(unsafe.Pointer(&schema)))
	if err := takeError(failure); err != nil {
		return nil, err
	}
	return cdata.ImportCArrowSchema(&schema)
}

// importChunk turns a chunk into a batch of its own; the caller releases it.
func (r *Result) importChunk(chunk bindings.DataChunk) (arrow.RecordBatch, error) {
	var out cdata.CArrowArray
	failure := C.duckdb_data_chunk_to_arrow(r.options.Ptr, chunk.Ptr, (*C.struct_ArrowArray)(unsafe.Pointer(&out)))
	if err := takeError(failure); err != nil {
		return nil, err
	}
	batch, err := cdata.ImportCRecordBatchWithSchema(&out, r.schema)
	if err != nil {
		return nil, fmt.Errorf("take DuckDB's records: %w", err)
	}
	return batch, nil
}

// takeError is the error that one of DuckDB's functions returned, if any.
func takeError(data unsafe.Pointer) error {
	failure := bindings.ErrorData{Ptr: data}
	defer bindings.DestroyErrorData(&failure)
	if !bindings.ErrorDataHasError(failure) {
		return nil
	}
	return newError(bindings.ErrorDataErrorType(failure), bindings.ErrorDataMessage(failure))
}

// appendRows adds a batch's rows as text.
func appendRows(rows [][]string, batch arrow.RecordBatch) [][]string {
	for i := range int(batch.NumRows()) {
		row := make([]string, batch.NumCols())
		for c, column := range batch.Columns() {
			row[c] = cell(column, i)
		}
		rows = append(rows, row)
	}
	return rows
}

// cell is a value as text, in memory of its own: the batch's is DuckDB's.
func cell(column arrow.Array, i int) string {
	if column.IsNull(i) {
		return ""
	}
	return strings.Clone(column.ValueStr(i))
}
