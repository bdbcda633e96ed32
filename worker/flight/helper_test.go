package flight_test

import (
	"io"
	"net"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/api/dataplane"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/exchange"
	"github.com/millrace/millrace/worker/flight"
)

// holder is a worker that serves its spool over real loopback.
type holder struct {
	*exchange.Spool
	name   string
	addr   string
	server *grpc.Server
}

func serve(t testing.TB, name string, options ...grpc.ServerOption) *holder {
	t.Helper()
	return serveWith(t, name, flight.Options{}, options...)
}

func serveWith(t testing.TB, name string, o flight.Options, options ...grpc.ServerOption) *holder {
	t.Helper()
	spool, err := exchange.Open(t.TempDir(), name, 4<<30)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &holder{Spool: spool, name: name, addr: listener.Addr().String()}
	h.server = grpc.NewServer(append(flight.ServerOptions(), options...)...)
	flight.New(spool, o).Register(h.server)
	go h.server.Serve(listener)
	t.Cleanup(func() {
		h.server.Stop()
		spool.Close()
	})
	return h
}

// ref is an output as a lease names it.
func (h *holder) ref(kept *pb.OutputRef) *pb.OutputRef {
	ref := proto.CloneOf(kept)
	ref.Addresses = []string{h.addr}
	return ref
}

// bytes keeps an output of bytes.
func (h *holder) bytes(t testing.TB, job uint64, data []byte) *pb.OutputRef {
	t.Helper()
	w := h.Create(job, pb.OutputKind_OUTPUT_KIND_BYTES, 0)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	return h.finish(t, w)
}

// records keeps an output of records.
func (h *holder) records(t testing.TB, job uint64, kind pb.OutputKind, batches ...arrow.RecordBatch) *pb.OutputRef {
	t.Helper()
	w := h.Create(job, kind, 0)
	for _, batch := range batches {
		if err := w.WriteRecords(batch); err != nil {
			t.Fatal(err)
		}
	}
	return h.finish(t, w)
}

func (h *holder) finish(t testing.TB, w *exchange.Writer) *pb.OutputRef {
	t.Helper()
	ref, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return h.ref(ref)
}

func newPool(t testing.TB) *dataplane.Pool {
	t.Helper()
	pool := dataplane.NewPool(nil)
	t.Cleanup(func() { pool.Close() })
	return pool
}

func ticket(job uint64, id string) []byte {
	encoded, err := proto.Marshal(&pb.OutputTicket{Job: job, Output: id})
	if err != nil {
		panic(err)
	}
	return encoded
}

// fetched is all of an output as a pool fetches it.
func fetched(t testing.TB, pool *dataplane.Pool, ref *pb.OutputRef) ([]byte, error) {
	t.Helper()
	r, err := pool.Open(t.Context(), ref.GetAddresses(), ticket(ref.GetJob(), ref.GetId()))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// kept is all of an output as the spool has it.
func (h *holder) kept(t testing.TB, ref *pb.OutputRef) []byte {
	t.Helper()
	r, err := h.Open(ref.GetJob(), ref.GetId())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
