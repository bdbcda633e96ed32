package command

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// widePipe is how much a pipe holds that much goes through, in bytes.
const widePipe = 1 << 20

// groupLeader starts a program in a process group of its own.
func groupLeader() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// widen makes a pipe larger, if the system allows.
func widen(pipe *os.File) {
	if conn, err := pipe.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, widePipe) })
	}
}

// awaitExit waits until a child has ended, and leaves it to be waited for: its
// number stays its own until then.
func awaitExit(p *process) {
	for {
		err := unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func signalName(s syscall.Signal) string {
	if name := unix.SignalName(s); name != "" {
		return name
	}
	return "signal " + strconv.Itoa(int(s))
}

// maxSweeps bounds how often processes are looked for, and sweepPause is the
// time between: what is killed takes a moment to go.
const (
	maxSweeps  = 100
	sweepPause = time.Millisecond
)

// killMarked kills what a program started and took out of its process group. It
// looks among processes that are younger than the program.
func killMarked(mark string, program int) {
	want := []byte(markName + "=" + mark + "\x00")
	for range maxSweeps {
		last := lastPID()
		if last == program {
			return // nothing was started since
		}
		if !killEach(younger(program, last), want) {
			return
		}
		time.Sleep(sweepPause)
	}
}

// lastPID is the number of the newest process or thread; 0 when unknown.
func lastPID() int {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	pid, _ := strconv.Atoi(string(fields[len(fields)-1]))
	return pid
}

// younger lists numbers that processes started since may have: all there are
// when that is shorter than trying each.
func younger(program, last int) []int {
	const few = 256
	if last > program && last-program <= few {
		pids := make([]int, 0, last-program)
		for pid := program + 1; pid <= last; pid++ {
			pids = append(pids, pid)
		}
		return pids
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err == nil && (last < program || pid > program) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killEach kills those that have the mark in their environment. It says whether
// it has to be done again: for those that they started meanwhile, and for
// processes that were becoming another program at that moment, and showed nothing.
func killEach(pids []int, mark []byte) (again bool) {
	for _, pid := range pids {
		proc := filepath.Join("/proc", strconv.Itoa(pid))
		env, err := os.ReadFile(filepath.Join(proc, "environ"))
		switch {
		case err != nil:
		case len(env) == 0:
			again = changing(filepath.Join(proc, "stat")) || again
		case bytes.Contains(env, mark):
			again = syscall.Kill(pid, syscall.SIGKILL) == nil || again
		}
	}
	return again
}

// Fields of a process's stat that come after its name, as proc(5) counts them.
const (
	statState    = 3
	statFlags    = 9
	statEnvStart = 50
	statEnvEnd   = 51
)

// kernelThread is the flag of what is no process of anybody's.
const kernelThread = 0x00200000

// changing says whether the process with this stat, which has shown nothing, was
// between two programs: it lives, and its environment is not yet in place, or is
// there by now.
func changing(stat string) bool {
	text, err := os.ReadFile(stat)
	_, rest, named := bytes.Cut(text[bytes.LastIndexByte(text, ')')+1:], []byte{' '})
	fields := bytes.Fields(rest)
	if err != nil || !named || len(fields) <= statEnvEnd-statState {
		return false
	}
	flags, err := strconv.ParseUint(string(fields[statFlags-statState]), 10, 64)
	dead := bytes.ContainsAny(fields[0], "ZXx")
	from, to := fields[statEnvStart-statState], fields[statEnvEnd-statState]
	none := string(to) != "0" && bytes.Equal(from, to)
	return err == nil && !dead && flags&kernelThread == 0 && !none
}
