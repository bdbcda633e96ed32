package exchange

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	pb "github.com/millrace/millrace/api/millracev1"
)

// castagnoli is the polynomial of the sums that outputs are checked with.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrNotHeld says that a spool has no such output, or not of that job.
var ErrNotHeld = errors.New("there is no such output here")

// ErrDamaged says that a file of the spool is not what was written to it.
var ErrDamaged = errors.New("the output is damaged on its worker's disk")

// stored is a finished output in the spool.
type stored struct {
	ref  *pb.OutputRef
	path string
	sum  uint32 // the CRC-32C of its bytes
}

// Reader reads an output of a spool. It returns ErrDamaged instead of io.EOF
// when what it read is not what was written.
type Reader struct {
	output *stored
	spool  *Spool
	file   *os.File
	read   int64
	sum    uint32
}

// Open opens an output of a job by its name: ErrNotHeld when the spool holds
// none such, ErrDamaged when it should.
func (s *Spool) Open(job uint64, id string) (*Reader, error) {
	s.mu.Lock()
	output := s.held[id]
	s.mu.Unlock()
	if output == nil || output.ref.GetJob() != job {
		return nil, ErrNotHeld
	}
	file, err := os.Open(output.path)
	switch {
	case err == nil:
		return &Reader{output: output, spool: s, file: file}, nil
	case !s.holds(output):
		return nil, ErrNotHeld // it went meanwhile
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%w: somebody removed its file", ErrDamaged)
	}
	return nil, err
}

func (s *Spool) holds(output *stored) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[output.ref.GetId()] == output
}

// Ref is the output that is read. It must not be changed.
func (r *Reader) Ref() *pb.OutputRef { return r.output.ref }

// Held says whether the spool still has the output: it may be dropped while it
// is read, which does not end the reading.
func (r *Reader) Held() bool { return r.spool.holds(r.output) }

// Read reads on.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.file.Read(p)
	r.read += int64(n)
	r.sum = crc32.Update(r.sum, castagnoli, p[:n])
	if err == io.EOF && (r.read != r.output.ref.GetBytes() || r.sum != r.output.sum) {
		return n, ErrDamaged
	}
	return n, err
}

// Close ends the reading.
func (r *Reader) Close() error { return r.file.Close() }
