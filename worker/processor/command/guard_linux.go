package command

import (
	"crypto/rand"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
)

// The guard outlives the worker, and kills what a dead worker's programs are
// still doing. It is one shell for all programs of this process, that waits for
// the end of a pipe which only this process holds: that comes with its end,
// however it ended. Everything that a program starts carries the mark in its
// environment, so the guard finds also what has left the process group.
const guardScript = `
read -r end && exit 0
quiet=0 sweeps=0
while [ $quiet -lt 3 ] && [ $sweeps -lt 100 ]; do
	quiet=$((quiet + 1)) sweeps=$((sweeps + 1))
	for file in $(grep -lsF "$1" /proc/[0-9]*/environ); do
		pid=${file#/proc/} pid=${pid%/environ}
		kill -s KILL -- "-$pid" "$pid" 2>/dev/null
		quiet=0
	done
	sleep 0.1
done
`

// workerMark begins the marks of this process's programs; nobody can guess it.
var (
	workerMark = sync.OnceValue(func() string { return rand.Text() })
	programs   atomic.Uint64
)

// newMark marks one program and all that it starts.
func newMark() string { return workerMark() + "." + strconv.FormatUint(programs.Add(1), 10) }

// guard is the process's one guard, as long as there are steps that hold it.
var guard struct {
	mu      sync.Mutex
	holders int
	process *os.Process
	pipe    *os.File
}

// holdGuard sees that there is a guard until release is called. Where there is
// no shell there is none, and a worker that is killed leaves its programs to
// themselves.
func holdGuard() (release func()) {
	guard.mu.Lock()
	defer guard.mu.Unlock()
	if guard.holders++; guard.holders == 1 {
		startGuard()
	}
	return sync.OnceFunc(releaseGuard)
}

func startGuard() {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return
	}
	defer theirs.Close()
	argv := []string{"sh", "-c", guardScript, "millrace-guard", markName + "=" + workerMark() + "."}
	guard.process, err = os.StartProcess("/bin/sh", argv, &os.ProcAttr{
		Dir: "/", Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, Files: []*os.File{theirs, nil, nil},
		Sys: &syscall.SysProcAttr{Setsid: true}, // a signal to our group spares it
	})
	if err != nil {
		ours.Close()
		return
	}
	guard.pipe = ours
}

func releaseGuard() {
	guard.mu.Lock()
	defer guard.mu.Unlock()
	if guard.holders--; guard.holders > 0 || guard.pipe == nil {
		return
	}
	_, _ = guard.pipe.WriteString("end\n") // nothing is left to guard
	guard.pipe.Close()
	_, _ = guard.process.Wait()
	guard.pipe, guard.process = nil, nil
}
