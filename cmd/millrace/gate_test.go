//go:build unix

package main_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// gate decides when a line that the function `ask` was given goes on. That
// function asks for each line, with its process's number, and waits for the
// answer: so a test knows which worker holds which batch, and for how long.
type gate struct {
	*cluster
	asked chan *question
	over  chan struct{}

	mu   sync.Mutex
	open bool
	seen []string // lines in the order in which they were asked for
}

// question is a line that waits.
type question struct {
	worker string
	line   string
	conn   net.Conn
	gone   chan struct{} // closed when whoever asked is gone
}

// newGate makes a gate that the cluster's workers, of those started from now on,
// ask.
func (c *cluster) newGate() *gate {
	c.Helper()
	folder, err := os.MkdirTemp("", "gate-") // a socket's path must be short
	if err != nil {
		c.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(folder, "s"))
	if err != nil {
		c.Fatal(err)
	}
	c.env = append(c.env, "MILLRACE_TEST_GATE="+listener.Addr().String())
	g := &gate{cluster: c, asked: make(chan *question), over: make(chan struct{})}
	var serving sync.WaitGroup
	c.Cleanup(func() {
		close(g.over)
		listener.Close()
		serving.Wait()
		os.RemoveAll(folder)
	})
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { g.serve(conn) })
		}
	})
	return g
}

// serve takes one question, and waits until it is answered or taken back.
func (g *gate) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	text, err := r.ReadString('\n')
	if err != nil {
		return
	}
	pid, line, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
	q := &question{worker: pid, line: line, conn: conn, gone: make(chan struct{})}
	g.mu.Lock()
	g.seen = append(g.seen, line)
	open := g.open
	g.mu.Unlock()
	if open {
		q.pass()
	} else {
		select {
		case g.asked <- q:
		case <-g.over:
			return
		}
	}
	r.ReadByte() // ends when it is closed there, too
	close(q.gone)
}

// next waits for the next line that asks.
func (g *gate) next() *question {
	g.Helper()
	select {
	case q := <-g.asked:
		for name, p := range g.members {
			if fmt.Sprint(p.cmd.Process.Pid) == q.worker {
				q.worker = name
			}
		}
		return q
	case <-time.After(patience):
		g.Fatalf("nobody asks:\n%s", g.logs())
		return nil
	}
}

// pass lets a line go on.
func (q *question) pass() { fmt.Fprintln(q.conn, "pass") }

// fail has the function fail.
func (q *question) fail(why string) { fmt.Fprintln(q.conn, why) }

// leaves waits until whoever asked is gone, or was told to stop.
func (g *gate) leaves(q *question) {
	g.Helper()
	select {
	case <-q.gone:
	case <-time.After(patience):
		g.Fatalf("%s still holds %q:\n%s", q.worker, q.line, g.logs())
	}
}

// opens lets all lines pass from now on, those that wait in next excepted.
func (g *gate) opens() {
	g.mu.Lock()
	g.open = true
	g.mu.Unlock()
	go func() { // those that were asked for before
		for {
			select {
			case q := <-g.asked:
				q.pass()
			case <-g.over:
				return
			}
		}
	}()
}

// times tells how often a line was asked for.
func (g *gate) times(line string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, seen := range g.seen {
		if seen == line {
			n++
		}
	}
	return n
}
