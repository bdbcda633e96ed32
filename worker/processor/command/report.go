package command

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unicode/utf8"

	"github.com/millrace/millrace/worker/processor"
)

const (
	// maxDetail is how much of the end of standard error is kept, in bytes.
	maxDetail = 8 << 10
	// maxReportLine is the longest line that can be a counter or a status.
	maxReportLine = 4 << 10
	reportPrefix  = "reporter:"
)

// report takes what a program writes to its standard error: counters and
// status, a line each, and the end of everything else.
type report struct {
	mu      sync.Mutex
	attempt *processor.Attempt
	line    []byte // the line that is not yet complete
	tail    []byte // at least the last maxDetail bytes of other lines
	buffer  []byte
}

func newReport(a *processor.Attempt) *report { return &report{attempt: a} }

// begin forgets what was written, for another attempt of a warm program.
func (r *report) begin(a *processor.Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempt, r.tail = a, nil
}

// end is the end of what was written, at most maxDetail bytes.
func (r *report) end() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := append(bytes.Clone(r.tail), r.line...)
	text := strings.ToValidUTF8(string(all[max(0, len(all)-maxDetail):]), "\uFFFD")
	from := max(0, len(text)-maxDetail)
	for from < len(text) && !utf8.RuneStart(text[from]) {
		from++
	}
	return text[from:]
}

// follow reads a pipe to its end.
func (r *report) follow(pipe *os.File) {
	conn, err := pipe.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Read(func(fd uintptr) bool { return r.drain(int(fd)) })
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.line) > 0 {
		r.takeLine()
	}
}

// catchUp takes what a pipe holds at this moment.
func (r *report) catchUp(pipe *os.File) {
	if conn, err := pipe.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { r.drain(int(fd)) })
	}
}

// drain reads a pipe as far as it goes without waiting. Reading and taking are
// one step, so that a catchUp waits for what follow has in hand. It returns
// whether the pipe has ended.
func (r *report) drain(fd int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.buffer == nil {
		r.buffer = make([]byte, maxDetail)
	}
	for {
		n, err := syscall.Read(fd, r.buffer)
		switch {
		case n > 0:
			r.take(r.buffer[:n])
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return false
		default:
			return true
		}
	}
}

// take cuts text into lines.
func (r *report) take(text []byte) {
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n') + 1
		if end == 0 {
			end = len(text)
		}
		r.line = append(r.line, text[:end]...)
		text = text[end:]
		if n := len(r.line); r.line[n-1] == '\n' || n > maxReportLine {
			r.takeLine()
		}
	}
}

func (r *report) takeLine() {
	line := r.line
	r.line = r.line[:0]
	if bytes.HasPrefix(line, []byte(reportPrefix)) && r.tell(strings.TrimSpace(string(line[len(reportPrefix):]))) {
		return
	}
	r.tail = append(r.tail, line...)
	if len(r.tail) > 2*maxDetail {
		r.tail = append(r.tail[:0], r.tail[len(r.tail)-maxDetail:]...)
	}
}

// tell passes a counter or a status on. It returns false for what is neither.
func (r *report) tell(text string) bool {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "status":
		if r.attempt.Status != nil {
			r.attempt.Status(rest)
		}
		return true
	case "counter":
		return r.count(rest)
	}
	return false
}

func (r *report) count(text string) bool {
	comma := strings.LastIndexByte(text, ',')
	if comma <= 0 {
		return false
	}
	delta, err := strconv.ParseInt(strings.TrimSpace(text[comma+1:]), 10, 64)
	if err != nil {
		return false
	}
	if r.attempt.Count != nil {
		r.attempt.Count(text[:comma], delta)
	}
	return true
}
