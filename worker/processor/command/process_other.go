//go:build !linux

package command

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// groupLeader starts a program in a process group of its own.
func groupLeader() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// widen does nothing: a pipe's size is the system's.
func widen(*os.File) {}

// awaitExit waits for the program.
func awaitExit(p *process) { p.state, _ = p.handle.Wait() }

func signalName(s syscall.Signal) string { return unix.SignalName(s) }

// killMarked does nothing: what left its process group can't be found here.
func killMarked(string, int) {}
