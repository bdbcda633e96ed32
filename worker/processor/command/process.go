package command

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// lastWords is how long a pipe may stay open when the program and all that
	// it started were killed: only somebody out of reach can still hold it.
	lastWords = time.Second
	// copyBytes is how much is read and written at once.
	copyBytes = 128 << 10
)

// errNotExecutable is a file that the system can't run.
var errNotExecutable = syscall.ENOEXEC

// stdin is a file for a program's standard input; nil for a pipe.
type stdin = *os.File

// process is a running program: the leader of a process group of its own.
type process struct {
	pid    int
	handle *os.Process
	mark   string
	state  *os.ProcessState // set by wait
	report *report

	stdin, stdout, stderr *os.File // our ends; stdin is nil when it is a file
	reported              chan struct{}

	mu     sync.Mutex
	reaped bool // pid is not ours any more
	killed bool // by us
}

// startProcess starts a program.
func startProcess(path string, argv, env []string, file stdin, r *report) (*process, error) {
	p := &process{report: r, reported: make(chan struct{})}
	var theirs [3]*os.File
	var errs [3]error
	if theirs[0] = file; file == nil {
		theirs[0], p.stdin, errs[0] = os.Pipe()
	}
	p.stdout, theirs[1], errs[1] = os.Pipe()
	p.stderr, theirs[2], errs[2] = os.Pipe()
	err := errors.Join(errs[:]...)
	if err == nil {
		p.handle, err = os.StartProcess(path, argv, &os.ProcAttr{Env: env, Files: theirs[:], Sys: groupLeader()})
	}
	for i, f := range theirs {
		if f != nil && (i > 0 || file == nil) {
			f.Close()
		}
	}
	if err != nil {
		p.close()
		return nil, err
	}
	p.pid = p.handle.Pid
	go func() { defer close(p.reported); r.follow(p.stderr) }()
	return p, nil
}

// feed writes a batch to the program's standard input, and closes it. A program
// that wants no more of it is no failure.
func (p *process) feed(in *input) error {
	if p.stdin == nil {
		return in.follow()
	}
	defer p.stdin.Close()
	err := ignoreClosed(in.writeTo(p.stdin))
	if in.over.Load() {
		return nil // its input was stopped with it
	}
	if err != nil {
		p.kill()
	}
	return err
}

// ignoreClosed passes over that nobody reads a pipe any more.
func ignoreClosed(err error) error {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

var buffers = sync.Pool{New: func() any { b := make([]byte, copyBytes); return &b }}

// copyOut passes on what the program writes to its standard output.
func (p *process) copyOut(out io.Writer) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for large := false; ; {
		n, err := p.stdout.Read(*buffer)
		if n >= 64<<10 && !large {
			large = true
			widen(p.stdout)
		}
		if n > 0 {
			if _, writeErr := out.Write((*buffer)[:n]); writeErr != nil {
				return writeErr
			}
		}
		if err != nil {
			return endOfPipe(err)
		}
	}
}

// endOfPipe is nil for the ends that a pipe may have.
func endOfPipe(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// kill kills the program and its process group.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.killed = true
		killGroup(p.pid)
	}
}

// died says whether the program failed by itself.
func (p *process) died() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	signal, _ := signalOf(p.state)
	return !p.state.Success() && !(p.killed && signal == "SIGKILL")
}

// wait waits for the program's end, and kills what it left behind.
func (p *process) wait() {
	awaitExit(p)
	p.mu.Lock()
	killGroup(p.pid) // while nobody else can have the number
	p.reaped = true
	if p.state == nil {
		p.state, _ = p.handle.Wait()
	}
	p.mu.Unlock()
	killMarked(p.mark, p.pid)
	deadline := time.Now().Add(lastWords)
	_ = p.stdout.SetReadDeadline(deadline)
	_ = p.stderr.SetReadDeadline(deadline)
	if p.stdin != nil {
		_ = p.stdin.SetWriteDeadline(deadline)
	}
}

// finish ends the reports and closes the pipes.
func (p *process) finish() {
	<-p.reported
	p.close()
}

func (p *process) close() {
	for _, f := range []*os.File{p.stdin, p.stdout, p.stderr} {
		if f != nil {
			f.Close()
		}
	}
}

// signalOf names the signal that ended a process.
func signalOf(state *os.ProcessState) (string, bool) {
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return "", false
	}
	return signalName(status.Signal()), true
}
