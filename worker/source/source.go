// Package source turns what a job names as its source into fragments, and
// splits of fragments into records: it lists files, finds out how they are
// written, finds where they may be cut, and reads splits. What is cut, when
// and for whom is decided elsewhere, and so is what becomes of the records;
// the types of columns are the SQL engine's to guess.
package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/roots"
)

// A File is an opened input. *os.File is one.
type File interface {
	io.ReaderAt
	io.Closer
	Stat() (os.FileInfo, error)
}

// Options says how a source is reached.
type Options struct {
	// Roots are the door through which every file is listed and opened; all
	// files when nil.
	Roots *roots.Roots
	// Threads that may work at once; as many as there are cores when 0.
	Threads int
}

func (o Options) open(path string) (File, error) {
	if o.Roots.Plain() {
		if err := o.Roots.Check(path); err != nil {
			return nil, err
		}
		return openFile(path)
	}
	return o.Roots.Open(path)
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
	// NoMatch is a pattern or path that names nothing here; another worker may
	// see more.
	NoMatch ProblemKind = iota
	// Outside is a path that this worker does not serve; another may.
	Outside
	// Unreadable is a file or folder that can't be opened or read.
	Unreadable
	// Conflict is two files that can't be of one source.
	Conflict
	// Malformed is a file whose content isn't what it claims to be.
	Malformed
	// Unsupported is an input of a sort that can't be read.
	Unsupported
)

// Elsewhere says that another worker, which sees other files, may not have the
// problem.
func (p *Problem) Elsewhere() bool {
	return p.Kind == NoMatch || p.Kind == Outside || errors.Is(p.Err, fs.ErrNotExist)
}

// Error is a sentence that names what it is about.
func (p *Problem) Error() string {
	if p.Kind == Outside {
		return p.Err.Error() // which names the path
	}
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
