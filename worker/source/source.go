// Package source turns what a job names as its source into fragments, and
// splits of fragments into records: it lists files, finds out how they are
// written, finds where they may be cut, and reads splits. What is cut, when
// and for whom is decided elsewhere, and so is what becomes of the records;
// the types of columns are the SQL engine's to guess.
package source

import (
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

// A File is an opened input. *os.File is one.
type File interface {
	io.ReaderAt
	io.Closer
	Stat() (os.FileInfo, error)
}

// Opener opens a file of a source. Every file that this package reads is
// opened by it, so that there is one place to say what may be read.
type Opener func(path string) (File, error)

// Options says how a source is reached.
type Options struct {
	// Open opens files; plainly when nil.
	Open Opener
	// Threads that may work at once; as many as there are cores when 0.
	Threads int
}

func (o Options) open(path string) (File, error) {
	if o.Open != nil {
		return o.Open(path)
	}
	return openFile(path)
}

func (o Options) threads() int {
	if o.Threads > 0 {
		return o.Threads
	}
	return runtime.GOMAXPROCS(0)
}

// Problem is what is wrong with a source, so that its user can mend it.
type Problem struct {
	// Kind says what sort of thing is wrong.
	Kind ProblemKind
	// Path is the file, folder or pattern it is about.
	Path string
	// Other is the second file of a conflict.
	Other string
	// Text says what is wrong, without the path.
	Text string
	// Err is the cause, where there is one.
	Err error
}

// ProblemKind is a sort of problem.
type ProblemKind int

// The kinds of problems.
const (
	// NoMatch is a pattern or path that names nothing.
	NoMatch ProblemKind = iota
	// Unreadable is a file or folder that can't be opened or read.
	Unreadable
	// Conflict is two files that can't be of one source.
	Conflict
	// Malformed is a file whose content isn't what it claims to be.
	Malformed
	// Unsupported is an input of a sort that can't be read.
	Unsupported
)

// Error is a sentence that names what it is about.
func (p *Problem) Error() string {
	if p.Err != nil {
		return fmt.Sprintf("%s: %s: %v", p.Path, p.Text, p.Err)
	}
	return fmt.Sprintf("%s: %s", p.Path, p.Text)
}

// Unwrap is the cause.
func (p *Problem) Unwrap() error { return p.Err }

func maxRecordBytes(src *pb.Source) int64 {
	if src != nil && src.MaxRecordBytes != nil {
		return src.GetMaxRecordBytes()
	}
	return api.DefaultRecordBytes
}
