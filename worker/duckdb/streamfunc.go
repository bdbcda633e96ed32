//go:build cgo

package duckdb

// #include <stdlib.h>
// #include "arrow.h"
import "C"

import (
	"runtime/cgo"
	"slices"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/cdata"
	bindings "github.com/duckdb/duckdb-go-bindings"
)

// streams is what an instance's table function of streams works on.
type streams struct {
	conn    bindings.Connection
	threads int
	handle  *cgo.Handle // in C's memory; nil until the function is registered
	current *Stream
	binds   int // how often the function was bound
}

// guessedRows is how many rows DuckDB is told to expect of a stream: enough to
// plan for many, since nobody knows.
const guessedRows = 1 << 20

// registerStreams makes the table function, once.
func (d *DB) registerStreams() error {
	if d.streams.handle != nil {
		return nil
	}
	d.streams.conn, d.streams.threads = d.conn, max(d.threads, 1)
	d.streams.handle = (*cgo.Handle)(C.malloc(C.size_t(unsafe.Sizeof(cgo.Handle(0)))))
	*d.streams.handle = cgo.NewHandle(&d.streams)
	function := bindings.CreateTableFunction()
	defer bindings.DestroyTableFunction(&function)
	bindings.TableFunctionSetName(function, StreamFunction)
	bindings.TableFunctionSetExtraInfo(function, unsafe.Pointer(d.streams.handle), nil)
	bindings.TableFunctionSetBind(function, C.millrace_stream_bind())
	bindings.TableFunctionSetInit(function, C.millrace_stream_init())
	bindings.TableFunctionSetFunction(function, C.millrace_stream_next())
	bindings.TableFunctionSupportsProjectionPushdown(function, true)
	if bindings.RegisterTableFunction(d.conn, function) == bindings.StateError {
		return &Error{Kind: KindInternal, Message: "DuckDB took no table function for streams"}
	}
	return nil
}

// free drops what C's side of the instance holds.
func (s *streams) free() {
	if s.handle != nil {
		s.handle.Delete()
		C.free(unsafe.Pointer(s.handle))
		s.handle = nil
	}
}

// streamsOf are the streams that a callback's extra info stands for.
func streamsOf(extra unsafe.Pointer) *streams {
	return (*cgo.Handle)(extra).Value().(*streams)
}

//export millraceStreamBind
func millraceStreamBind(p unsafe.Pointer) {
	info := bindings.BindInfo{Ptr: p}
	s := streamsOf(bindings.BindGetExtraInfo(info))
	s.binds++
	if s.current == nil {
		bindings.BindSetError(info, "no records are attached")
		return
	}
	bindings.BindSetCardinality(info, guessedRows, false)
	for i, field := range s.current.schema.Fields() {
		bindings.BindAddResultColumn(info, field.Name, s.current.types[i])
	}
}

//export millraceStreamInit
func millraceStreamInit(p unsafe.Pointer) {
	info := bindings.InitInfo{Ptr: p}
	s := streamsOf(bindings.InitGetExtraInfo(info))
	bindings.InitSetMaxThreads(info, bindings.IdxT(s.threads))
	wanted := make([]int, bindings.InitGetColumnCount(info))
	for i := range wanted {
		wanted[i] = int(bindings.InitGetColumnIndex(info, bindings.IdxT(i)))
	}
	if err := s.current.begin(s.conn, wanted); err != nil {
		bindings.InitSetError(info, err.Error())
	}
}

// begin readies the stream for the one query that reads it.
func (s *Stream) begin(conn bindings.Connection, wanted []int) (err error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.started {
		return errReread
	}
	s.started = true
	// A query that only counts asks for a column that is not there.
	s.wanted = slices.DeleteFunc(wanted, func(c int) bool { return c < 0 || c >= s.schema.NumFields() })
	s.chunk, err = newChunkMaker(conn, project(s.schema, s.wanted))
	return err
}

//export millraceStreamNext
func millraceStreamNext(p, out unsafe.Pointer) {
	info, chunk := bindings.FunctionInfo{Ptr: p}, bindings.DataChunk{Ptr: out}
	if err := streamsOf(bindings.FunctionGetExtraInfo(info)).current.next(chunk); err != nil {
		bindings.FunctionSetError(info, err.Error())
	}
}

// next fills a chunk with the next rows; it stays empty at the end.
func (s *Stream) next(out bindings.DataChunk) error {
	rows, err := s.slice()
	if err != nil || rows == nil {
		return err
	}
	defer rows.Release()
	if len(s.wanted) > 0 {
		if err := s.chunk.fill(out, rows, s.wanted); err != nil {
			return err
		}
	}
	bindings.DataChunkSetSize(out, bindings.IdxT(rows.NumRows()))
	return nil
}

// columnTypes are the types that DuckDB gives to the columns of a batch.
func (d *DB) columnTypes(batch arrow.RecordBatch) ([]bindings.LogicalType, error) {
	maker, err := newChunkMaker(d.conn, batch.Schema())
	if err != nil {
		return nil, err
	}
	defer maker.close()
	one := batch.NewSlice(0, min(batch.NumRows(), 1))
	defer one.Release()
	chunk, err := maker.convert(one)
	if err != nil {
		return nil, err
	}
	defer bindings.DestroyDataChunk(&chunk)
	types := make([]bindings.LogicalType, batch.NumCols())
	for i := range types {
		types[i] = bindings.VectorGetColumnType(bindings.DataChunkGetVector(chunk, bindings.IdxT(i)))
	}
	return types, nil
}

// chunkMaker turns record batches of one schema into DuckDB's chunks.
type chunkMaker struct {
	conn      bindings.Connection
	schema    *arrow.Schema
	converted unsafe.Pointer
}

func newChunkMaker(conn bindings.Connection, schema *arrow.Schema) (*chunkMaker, error) {
	m := &chunkMaker{conn: conn, schema: schema}
	var c cdata.CArrowSchema
	cdata.ExportArrowSchema(schema, &c)
	defer cdata.ReleaseCArrowSchema(&c)
	failure := C.duckdb_schema_from_arrow(conn.Ptr, (*C.struct_ArrowSchema)(unsafe.Pointer(&c)), &m.converted)
	return m, takeError(failure)
}

func (m *chunkMaker) close() { C.duckdb_destroy_arrow_converted_schema(&m.converted) }

// convert makes a chunk of a batch; the caller destroys it. Buffers are shared,
// not copied.
func (m *chunkMaker) convert(batch arrow.RecordBatch) (chunk bindings.DataChunk, err error) {
	var c cdata.CArrowArray
	cdata.ExportArrowRecordBatch(batch, &c, nil)
	failure := C.duckdb_data_chunk_from_arrow(m.conn.Ptr, (*C.struct_ArrowArray)(unsafe.Pointer(&c)), m.converted, &chunk.Ptr)
	return chunk, takeError(failure)
}

// fill puts the wanted columns of rows into a chunk of a query.
func (m *chunkMaker) fill(out bindings.DataChunk, rows arrow.RecordBatch, wanted []int) error {
	columns := make([]arrow.Array, len(wanted))
	for i, c := range wanted {
		columns[i] = rows.Column(c)
	}
	batch := array.NewRecordBatch(m.schema, columns, rows.NumRows())
	defer batch.Release()
	chunk, err := m.convert(batch)
	if err != nil {
		return err
	}
	defer bindings.DestroyDataChunk(&chunk)
	for i := range wanted {
		at := bindings.IdxT(i)
		bindings.VectorReferenceVector(bindings.DataChunkGetVector(out, at), bindings.DataChunkGetVector(chunk, at))
	}
	return nil
}

// project is a schema of some of the fields.
func project(schema *arrow.Schema, columns []int) *arrow.Schema {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = schema.Field(c)
	}
	return arrow.NewSchema(fields, nil)
}
