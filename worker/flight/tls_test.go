package flight_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/millrace/millrace/api/dataplane"
	"github.com/millrace/millrace/identity"
	"github.com/millrace/millrace/worker/exchange"
	"github.com/millrace/millrace/worker/flight"
)

// keeper is somebody's certificate of a test's own authority.
func keeper(t *testing.T, folder, name string, role identity.Role) *identity.Keeper {
	t.Helper()
	files, err := identity.Issue(folder, name, []identity.Role{role}, nil, time.Hour)
	check(t, err)
	k, err := identity.Open(files)
	check(t, err)
	return k
}

// Under TLS the role decides, on both sides: a holder gives nothing to a
// coordinator, though its ticket is right, and nobody asks who is no worker.
func TestRolesDecideWhoReads(t *testing.T) {
	ca := t.TempDir()
	check(t, identity.MakeCA(ca, 48*time.Hour))
	secure := func(role identity.Role) *holder {
		spool, err := exchange.Open(t.TempDir(), "w1", 1<<20)
		check(t, err)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		h := &holder{Spool: spool, addr: listener.Addr().String()}
		k := keeper(t, ca, "holder-"+string(role), role)
		h.server = grpc.NewServer(append(flight.ServerOptions(), grpc.Creds(k.ServerCredentials()),
			grpc.StreamInterceptor(func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
				if err := identity.Require(stream.Context(), identity.Worker, identity.Client); err != nil {
					return err
				}
				return handle(server, stream)
			}))...)
		flight.New(spool, flight.Options{}).Register(h.server)
		go h.server.Serve(listener)
		t.Cleanup(func() {
			h.server.Stop()
			spool.Close()
		})
		return h
	}
	h, fake := secure(identity.Worker), secure(identity.Client)
	ref, other := h.bytes(t, 1, []byte("secret")), fake.bytes(t, 1, []byte("fake"))
	for _, role := range []identity.Role{identity.Worker, identity.Client, identity.Coordinator} {
		pool := dataplane.NewPool(keeper(t, ca, "reader-"+string(role), role).Client(identity.Worker))
		t.Cleanup(func() { pool.Close() })
		got, err := fetched(t, pool, ref)
		if role == identity.Coordinator {
			if !errors.Is(err, dataplane.ErrUnreachable) || !strings.Contains(err.Error(), "coordinator") {
				t.Errorf("a %s got %q, %v", role, got, err)
			}
		} else if err != nil || string(got) != "secret" {
			t.Errorf("a %s got %q, %v", role, got, err)
		}
		if got, err := fetched(t, pool, other); !errors.Is(err, dataplane.ErrUnreachable) {
			t.Errorf("of a holder that is no worker a %s got %q, %v", role, got, err)
		}
	}
	if got, err := fetched(t, newPool(t), ref); !errors.Is(err, dataplane.ErrUnreachable) {
		t.Errorf("without TLS: %q, %v", got, err)
	}
}
