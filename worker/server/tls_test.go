package server

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/api/dataplane"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/identity"
)

// certificates are of everybody who may meet, by name.
func certificates(t *testing.T) map[string]identity.Files {
	t.Helper()
	dir := t.TempDir()
	if err := identity.MakeCA(dir, 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	all := map[string]identity.Files{}
	for name, roles := range map[string][]identity.Role{
		"coordinator": {identity.Coordinator}, "worker": {identity.Worker}, "client": {identity.Client}, "operator": {identity.Operator},
	} {
		files, err := identity.Issue(dir, name, roles, []string{"127.0.0.1"}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = files
	}
	return all
}

func keeper(t *testing.T, files identity.Files) *identity.Keeper {
	t.Helper()
	k, err := identity.Open(files)
	if err != nil {
		t.Fatal(err)
	}
	k.LogTo(quiet())
	return k
}

// With TLS a worker talks to coordinators only, and serves its outputs to those
// who may read them.
func TestRoles(t *testing.T) {
	certs := certificates(t)
	b := openWith(t, "127.0.0.1:0", nil, grpc.Creds(keeper(t, certs["coordinator"]).ServerCredentials()))
	h := start(t, b.gossip.Addr(), func(c *Config) { c.TLS = certs["worker"] })
	hear(t, b, attach)
	b.says <- answer()
	b.says <- work(1, "cat")
	output := hear(t, b, outcome).GetOutput()
	ticket, err := proto.Marshal(&pb.OutputTicket{Job: 1, Output: output.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	for name, may := range map[string]bool{"worker": true, "client": true, "operator": true, "coordinator": false, "": false} {
		pool := dataplane.NewPool(nil)
		if name != "" {
			pool = dataplane.NewPool(keeper(t, certs[name]).Client(identity.Worker))
		}
		got := ""
		stream, err := pool.Open(t.Context(), []string{h.DataAddr()}, ticket)
		if err == nil {
			text, readErr := io.ReadAll(stream)
			got, err = string(text), readErr
			stream.Close()
		}
		if may != (err == nil && got == "a\nb\n") || !may && !errors.Is(err, dataplane.ErrUnreachable) {
			t.Errorf("%q reads %q, %v", name, got, err)
		}
		pool.Close()
	}
}

// Who only says that it is a coordinator is told nothing.
func TestAFalseCoordinator(t *testing.T) {
	certs := certificates(t)
	b := openWith(t, "127.0.0.1:0", nil, grpc.Creds(keeper(t, certs["worker"]).ServerCredentials()))
	log := newWatched("no session", "coordinator")
	start(t, b.gossip.Addr(), func(c *Config) { c.TLS, c.Logger = certs["worker"], log.logger() })
	<-log.seen
	select {
	case r := <-b.heard:
		t.Errorf("it was told %v", r)
	default:
	}
}

// watched is a log that waits for a line with some words.
type watched struct {
	words []string
	seen  chan struct{}
}

func newWatched(words ...string) *watched { return &watched{words, make(chan struct{}, 1)} }

// Write looks at a line.
func (w *watched) Write(line []byte) (int, error) {
	for _, word := range w.words {
		if !strings.Contains(string(line), word) {
			return len(line), nil
		}
	}
	select {
	case w.seen <- struct{}{}:
	default:
	}
	return len(line), nil
}

func (w *watched) logger() *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
