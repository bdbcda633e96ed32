// Package processor defines what a step of a stage is to the worker that runs
// it: where its records come from, where its results go, and how it fails. The
// processors themselves (sql, command, function) are packages below; which of
// them runs, and over what, is decided elsewhere.
package processor

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/apache/arrow-go/v18/arrow"

	pb "github.com/millrace/millrace/api/millracev1"
)

// Step is one processor, made ready for one stage. Run is called once for each
// attempt at a batch; several attempts may run at once, each with its own
// Attempt, unless the step says otherwise.
type Step interface {
	// Run reads all of in and writes its results to out. It returns when
	// everything that it started has ended. A failure that has a class is a
	// *Failure; any other error is one that may be tried again.
	Run(ctx context.Context, a *Attempt, in Input, out Output) error
	// Close frees what the step kept between batches.
	Close() error
}

// Records is a stream of Arrow record batches, all of one schema. A batch is
// valid until the next is asked for; who keeps it longer retains it. The stream
// ends after its first error.
type Records = iter.Seq2[arrow.RecordBatch, error]

// Input is what a step reads: parts of one format, in source order.
type Input struct {
	// Format of every part: LINES, CSV, JSON (text, by Part.Open), PARQUET (by
	// Part.Real) or ARROW (by Part.Records). Never unspecified.
	Format pb.Format
	// Csv is the dialect when Format is CSV: every field is set. Parts come
	// without their header line whatever it says.
	Csv *pb.Csv
	// Columns of the records, where they are known. Types are DuckDB's names.
	Columns []*pb.Column
	// MaxRecordBytes is the longest record allowed; never 0.
	MaxRecordBytes int64
	// Parts of the batch.
	Parts []Part
}

// Part is a run of records of one input: a split of a file, an output of an
// earlier stage, or what the step before writes in the same lease. It is read
// once.
type Part struct {
	// Name is the file's path, for messages and the column `file`; empty where
	// there is none.
	Name string
	// Offset is where the part's first record lies in the file, in the unit of
	// its fragment.
	Offset int64
	// Bytes is about how many bytes of input the part has; for progress.
	Bytes int64
	// Whole says that the part is all of its file.
	Whole bool

	// File opens the whole file of which the part is one, for who reads it by
	// itself; Real is its path without links, for who opens it by that. Both see
	// to it that the worker serves it. Nil where there is no file.
	File func() (*os.File, error)
	Real func() (string, error)

	// Open streams the part's text: whole records only, decompressed, each
	// ended by a newline but for the last one, without the header line of CSV
	// and without a byte order mark. Nil when the part is not text. A Read into
	// a large buffer is one read from the file.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// Records streams the part as Arrow records. It is set for ARROW, and for
	// PARQUET (for those who don't read the file themselves); nil for text.
	Records func(ctx context.Context) Records
	// FromRow and ToRow name rows [FromRow, ToRow) of a Parquet file, for
	// processors with a reader of their own. ToRow is -1 for the end.
	FromRow, ToRow int64
}

// Output takes what a step makes. A step uses one of its methods, throughout.
type Output interface {
	// Write takes bytes as a program wrote them.
	io.Writer
	// WriteRecords takes records; it keeps nothing of batch when it returns.
	WriteRecords(batch arrow.RecordBatch) error
}

// Attempt is what a step knows about the attempt that it runs. Its functions
// may be called from several goroutines.
type Attempt struct {
	// JobID is the job's identifier, for people and environments.
	JobID string
	// Job is the job's number.
	Job uint64
	// Stage is the stage's name.
	Stage string
	// Batch is the batch's number in its job, Number the attempt at it from 1.
	Batch  uint64
	Number uint32
	// Position is the first position that the batch covers, EndPosition the one
	// after its last.
	Position, EndPosition int64
	// Threads that the step may use, at least 1.
	Threads int
	// MemoryBytes that the step may use.
	MemoryBytes int64
	// TempDir makes, when it is first called, a folder of this attempt's own. It
	// is removed afterwards.
	TempDir func() (string, error)

	// Read counts input: records and bytes read since the last call.
	Read func(records, bytes int64)
	// Status tells, in a few words, what the step is doing.
	Status func(text string)
	// Count adds to a counter of the processor's own.
	Count func(name string, delta int64)
	// Skip reports a bad record. It returns nil when the job allows to leave
	// it out, and otherwise the error that Run must return: a *Failure of
	// class FATAL that names the bad records so far.
	Skip func(bad *pb.BadRecord) error
}

// Failure is an error with a class: what may be done next about it.
type Failure struct {
	// Class is how the attempt ended.
	Class pb.OutcomeClass
	// Detail is what people are told.
	Detail *pb.Failure
}

// Error is the failure's message.
func (f *Failure) Error() string { return f.Detail.GetMessage() }

// Fail makes a failure of a class with a message.
func Fail(class pb.OutcomeClass, format string, args ...any) *Failure {
	return &Failure{Class: class, Detail: &pb.Failure{Message: fmt.Sprintf(format, args...), ExitStatus: -1}}
}

// Fatal is a failure that another attempt would meet again.
func Fatal(format string, args ...any) *Failure {
	return Fail(pb.OutcomeClass_OUTCOME_CLASS_FATAL, format, args...)
}

// Unable is a failure of a worker that can run no batch of the stage: it lacks a
// program, or the output folder. Another worker may have it.
func Unable(format string, args ...any) *Failure {
	return Fail(pb.OutcomeClass_OUTCOME_CLASS_UNABLE, format, args...)
}

// InputGone is a failure of an input that is not there or is not what was
// planned. Another worker may have it.
func InputGone(format string, args ...any) *Failure {
	return Fail(pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE, format, args...)
}
