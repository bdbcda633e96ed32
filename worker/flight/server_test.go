package flight_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/api/dataplane"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/flight"
)

const (
	kindBytes  = pb.OutputKind_OUTPUT_KIND_BYTES
	kindArrow  = pb.OutputKind_OUTPUT_KIND_ARROW
	kindSorted = pb.OutputKind_OUTPUT_KIND_SORTED
)

// odd are batches of types that are easily lost on the way.
func odd(t testing.TB) []arrow.RecordBatch {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "huge", Type: &arrow.Decimal128Type{Precision: 38}, Nullable: true},
		{Name: "kind", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, Nullable: true},
		{Name: "tree", Type: arrow.ListOf(arrow.StructOf(arrow.Field{Name: "x", Type: arrow.BinaryTypes.Binary, Nullable: true})), Nullable: true},
		{Name: "map", Type: arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64), Nullable: true},
		{Name: "none", Type: arrow.Null, Nullable: true},
		{Name: "view", Type: arrow.BinaryTypes.StringView, Nullable: true},
		{Name: "at", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "Europe/Vienna"}, Nullable: true},
	}, nil)
	rows := []string{
		`[{"huge":"99999999999999999999999999999999999999","kind":"a","tree":[{"x":"AAE="},{"x":null}],"map":[{"key":"k","value":1}],"view":"short","at":"1999-12-31T23:59:59.999999Z"}]`,
		`[{"kind":"b"},{"kind":"a","tree":[],"map":[],"view":"` + strings.Repeat("long ", 20) + `"},{}]`,
	}
	batches := make([]arrow.RecordBatch, len(rows))
	for i, row := range rows {
		batch, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(row))
		if err != nil {
			t.Fatal(err)
		}
		batches[i] = batch
	}
	return batches
}

// large is about n bytes that repeat nothing nearby.
func large(n int) []byte {
	data := make([]byte, 0, n+16)
	for i := 0; len(data) < n; i++ {
		data = append(data, byte(i), byte(i>>8), byte(i>>16), byte(i*7), '\n')
	}
	return data[:n]
}

// What another worker gets are the bytes of the spool, whatever they are.
func TestAWorkerGetsTheBytesAsTheyAre(t *testing.T) {
	h, pool := serve(t, "w1"), newPool(t)
	for name, ref := range map[string]*pb.OutputRef{
		"a byte":        h.bytes(t, 1, []byte{0}),
		"a chunk":       h.bytes(t, 1, large(128<<10)),
		"many chunks":   h.bytes(t, 1, large(3<<20+17)),
		"records":       h.records(t, 1, kindArrow, odd(t)...),
		"sorted":        h.records(t, 2, kindSorted, odd(t)[0]),
		"no rows, none": h.records(t, 2, kindArrow, odd(t)[1]),
	} {
		got, err := fetched(t, pool, ref)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := h.kept(t, ref); !bytes.Equal(got, want) || int64(len(got)) != ref.GetBytes() {
			t.Errorf("%s: got %d bytes that are not the %d of the spool", name, len(got), len(want))
		}
	}
}

func client(t testing.TB, h *holder) arrowflight.Client {
	t.Helper()
	c, err := arrowflight.NewClientWithMiddleware(h.addr, nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Any Flight client reads records.
func TestAnyClientReadsRecords(t *testing.T) {
	h := serve(t, "w1")
	for _, kind := range []pb.OutputKind{kindArrow, kindSorted} {
		want := odd(t)
		ref := h.records(t, 1, kind, want...)
		stream, err := client(t, h).DoGet(t.Context(), &arrowflight.Ticket{Ticket: ticket(1, ref.GetId())})
		if err != nil {
			t.Fatal(err)
		}
		r, err := arrowflight.NewRecordReader(stream)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Release()
		n := 0
		for ; r.Next(); n++ {
			if n < len(want) && !array.RecordEqual(r.RecordBatch(), want[n]) {
				t.Errorf("batch %d of kind %v is %v, want %v", n, kind, r.RecordBatch(), want[n])
			}
		}
		if r.Err() != nil || n != len(want) {
			t.Errorf("%d batches of kind %v, then %v; want %d", n, kind, r.Err(), len(want))
		}
	}
}

// Bytes come as one column of chunks.
func TestAnyClientReadsBytes(t *testing.T) {
	h := serve(t, "w1")
	for _, size := range []int{1, 1 << 20, 3<<20 + 5} {
		want := large(size)
		ref := h.bytes(t, 1, want)
		stream, err := client(t, h).DoGet(t.Context(), &arrowflight.Ticket{Ticket: ticket(1, ref.GetId())})
		if err != nil {
			t.Fatal(err)
		}
		r, err := arrowflight.NewRecordReader(stream)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Release()
		var got []byte
		for r.Next() {
			column := r.RecordBatch().Column(0).(*array.Binary)
			for i := range column.Len() {
				got = append(got, column.Value(i)...)
			}
		}
		if r.Err() != nil || !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, then %v; want the %d written", len(got), r.Err(), size)
		}
	}
}

func TestAnOutputIsTold(t *testing.T) {
	h := serve(t, "w1")
	c := client(t, h)
	batches := odd(t)
	for name, ref := range map[string]*pb.OutputRef{
		"records": h.records(t, 1, kindArrow, batches...), "bytes": h.bytes(t, 1, []byte("a\nb\n")),
	} {
		named := &arrowflight.FlightDescriptor{Type: arrowflight.DescriptorCMD, Cmd: ticket(1, ref.GetId())}
		info, err := c.GetFlightInfo(t.Context(), named)
		if err != nil {
			t.Fatal(err)
		}
		told, err := c.GetSchema(t.Context(), named)
		if err != nil {
			t.Fatal(err)
		}
		schema, err := arrowflight.DeserializeSchema(info.GetSchema(), memory.DefaultAllocator)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, records := arrow.NewSchema([]arrow.Field{{Name: "data", Type: arrow.BinaryTypes.Binary}}, nil), int64(-1)
		if name == "records" {
			want, records = batches[0].Schema(), 4
		}
		if !schema.Equal(want) || !bytes.Equal(told.GetSchema(), info.GetSchema()) {
			t.Errorf("%s: the schema is %v, want %v", name, schema, want)
		}
		if info.GetTotalBytes() != ref.GetBytes() || info.GetTotalRecords() != records || !bytes.Equal(info.GetEndpoint()[0].GetTicket().GetTicket(), named.Cmd) {
			t.Errorf("%s: told as %v", name, info)
		}
	}
}

// Whoever guesses learns nothing: the answer is the same whatever is wrong.
func TestTicketsThatDoNotFit(t *testing.T) {
	h, pool := serve(t, "w1"), newPool(t)
	ref := h.bytes(t, 1, []byte("secret"))
	lost := h.bytes(t, 1, []byte("x"))
	h.Drop(lost.GetId())
	answers := map[string]bool{}
	for name, wrong := range map[string][]byte{
		"another job": ticket(2, ref.GetId()), "no job": ticket(0, ref.GetId()), "another name": ticket(1, "x"),
		"none": nil, "garbage": []byte("\xff\xff\xff"), "dropped": ticket(1, lost.GetId()),
		"a path": ticket(1, "../"+filepath.Base(h.Dir())+"/"+ref.GetId()), "the lock": ticket(1, "lock"),
		"huge": ticket(1, strings.Repeat("x", 1<<20)), "an empty name": ticket(1, ""),
	} {
		_, err := pool.Open(t.Context(), []string{h.addr}, wrong)
		if !errors.Is(err, dataplane.ErrGone) {
			t.Errorf("%s: %v, want that it is gone", name, err)
			continue
		}
		answers[err.Error()] = true
	}
	if len(answers) != 1 {
		t.Errorf("answers differ: %v", answers)
	}
}

// A file that is not what was written is told as such, by either way, and never
// as a shorter or another output.
func TestADamagedFileIsFound(t *testing.T) {
	damage := map[string]func(*testing.T, string){
		"cut":     func(t *testing.T, path string) { check(t, os.Truncate(path, 1<<20)) },
		"flipped": func(t *testing.T, path string) { overwrite(t, path, 2<<20, []byte("!!")) },
		"header":  func(t *testing.T, path string) { overwrite(t, path, 4, []byte{0xff, 0xff, 0xff, 0x7f}) },
		"message": func(t *testing.T, path string) { overwrite(t, path, 8, bytes.Repeat([]byte{0xee}, 64)) },
		"longer":  func(t *testing.T, path string) { overwrite(t, path, 3<<20+1<<19, []byte("more")) },
		"removed": func(t *testing.T, path string) { check(t, os.Remove(path)) },
	}
	for name, do := range damage {
		for _, kind := range []pb.OutputKind{kindBytes, kindArrow} {
			h, pool := serve(t, "w1"), newPool(t)
			ref := h.bytes(t, 1, large(3<<20))
			if kind == kindArrow {
				ref = h.records(t, 1, kind, numbers(400_000))
			}
			do(t, filepath.Join(h.Dir(), ref.GetId()))
			if _, err := fetched(t, pool, ref); !errors.Is(err, dataplane.ErrGone) {
				t.Errorf("%s, %v: raw: %v, want that it is gone", name, kind, err)
			}
			if err := drained(t, h, ref); status.Code(err) != codes.DataLoss {
				t.Errorf("%s, %v: as records: %v, want data loss", name, kind, err)
			}
		}
	}
}

func drained(t *testing.T, h *holder, ref *pb.OutputRef) error {
	stream, err := client(t, h).DoGet(t.Context(), &arrowflight.Ticket{Ticket: ticket(ref.GetJob(), ref.GetId())})
	for err == nil {
		_, err = stream.Recv()
	}
	return err
}

func numbers(n int) arrow.RecordBatch {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	for i := range n {
		b.Append(int64(i))
	}
	column := b.NewArray()
	schema := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)
	return array.NewRecordBatch(schema, []arrow.Array{column}, int64(n))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, path string, at int64, data []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	check(t, err)
	_, err = f.WriteAt(data, at)
	check(t, err)
	check(t, f.Close())
}

// A job that ends while its output is read ends the reading, with a reason.
func TestAnOutputDroppedWhileItIsRead(t *testing.T) {
	h, pool := serve(t, "w1"), newPool(t)
	ref := h.bytes(t, 7, large(64<<20))
	r, err := pool.Open(t.Context(), ref.GetAddresses(), ticket(7, ref.GetId()))
	check(t, err)
	defer r.Close()
	buffer := make([]byte, 1<<20)
	_, err = r.Read(buffer)
	check(t, err)
	h.DropJob(7)
	for err == nil {
		_, err = r.Read(buffer)
	}
	if !errors.Is(err, dataplane.ErrGone) || !strings.Contains(err.Error(), "its job is over") {
		t.Errorf("the reading ended with %v", err)
	}
}

// A holder that dies in the middle is out of reach, and so is one that was
// never there; another address of the same is tried first.
func TestAHolderThatDies(t *testing.T) {
	h, pool := serve(t, "w1"), newPool(t)
	ref := h.bytes(t, 1, large(64<<20))
	small := h.bytes(t, 1, []byte("small"))
	small.Addresses = []string{"127.0.0.1:1", h.addr}
	if got, err := fetched(t, pool, small); err != nil || string(got) != "small" {
		t.Errorf("by the second address: %q, %v", got, err)
	}
	r, err := pool.Open(t.Context(), ref.GetAddresses(), ticket(1, ref.GetId()))
	check(t, err)
	defer r.Close()
	buffer := make([]byte, 1<<20)
	_, err = r.Read(buffer)
	check(t, err)
	h.server.Stop()
	for err == nil {
		_, err = r.Read(buffer)
	}
	if !errors.Is(err, dataplane.ErrUnreachable) {
		t.Errorf("the reading ended with %v, want that it can't be reached", err)
	}
	if _, err := fetched(t, pool, ref); !errors.Is(err, dataplane.ErrUnreachable) || !strings.Contains(err.Error(), h.addr) {
		t.Errorf("a dead holder: %v, want that it can't be reached, and where", err)
	}
}

// More streams than a holder sends at once wait for their turn.
func TestABusyHolderIsAskedAgain(t *testing.T) {
	refused := make(chan bool, 100)
	h := serveWith(t, "w1", flight.Options{Streams: 1}, grpc.StreamInterceptor(
		func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			err := handle(server, stream)
			if status.Code(err) == codes.ResourceExhausted {
				refused <- true
			}
			return err
		}))
	pool := newPool(t)
	ref := h.bytes(t, 1, large(8<<20))
	first, err := pool.Open(t.Context(), ref.GetAddresses(), ticket(1, ref.GetId()))
	check(t, err)
	got := make(chan error)
	go func() {
		_, err := fetched(t, pool, ref)
		got <- err
	}()
	<-refused
	first.Close()
	if err := <-got; err != nil {
		t.Errorf("the second reader: %v", err)
	}
}

// A merge reads all of its inputs a little at a time: none of them holds up
// another, though more is kept than may be on its way.
func TestManyOutputsAreReadInTurn(t *testing.T) {
	h, pool := serve(t, "w1"), newPool(t)
	want := large(dataplane.WindowBytes * 3)
	ref := h.bytes(t, 1, want)
	readers := make([]io.ReadCloser, 100)
	for i := range readers {
		r, err := pool.Open(t.Context(), ref.GetAddresses(), ticket(1, ref.GetId()))
		check(t, err)
		defer r.Close()
		readers[i] = r
	}
	part := make([]byte, len(want)/8)
	for at := 0; at < len(want); at += len(part) {
		for i, r := range readers {
			if _, err := io.ReadFull(r, part); err != nil || !bytes.Equal(part, want[at:at+len(part)]) {
				t.Fatalf("reader %d at %d: %v", i, at, err)
			}
		}
	}
}

func TestAReaderThatIsClosed(t *testing.T) {
	h, pool := serve(t, "w1"), newPool(t)
	ref := h.bytes(t, 1, large(64<<20))
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := pool.Open(ctx, ref.GetAddresses(), ticket(1, ref.GetId()))
	check(t, err)
	defer r.Close()
	why := errors.New("nobody wants it")
	cancel(why)
	buffer := make([]byte, 1<<20)
	for err == nil {
		_, err = r.Read(buffer)
	}
	if !errors.Is(err, why) {
		t.Errorf("the reading ended with %v, want the cause of its context's end", err)
	}
}

func FuzzTickets(f *testing.F) {
	h, pool := serve(f, "w1"), newPool(f)
	ref := h.bytes(f, 1, []byte("secret"))
	f.Add([]byte{})
	f.Add(ticket(2, ref.GetId()))
	f.Add(append(ticket(1, ref.GetId()[:8]), 0xff))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := pool.Open(t.Context(), []string{h.addr}, data); !errors.Is(err, dataplane.ErrGone) {
			t.Errorf("the ticket %x gives %v, %v", data, r, err)
		}
	})
}

func BenchmarkFetch(b *testing.B) {
	h, pool := serve(b, "w1"), newPool(b)
	ref := h.bytes(b, 1, large(256<<20))
	buffer := make([]byte, 256<<10)
	b.SetBytes(ref.GetBytes())
	for b.Loop() {
		r, err := pool.Open(b.Context(), ref.GetAddresses(), ticket(1, ref.GetId()))
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = r.Read(buffer)
		}
		r.Close()
	}
}

func BenchmarkFetchSmall(b *testing.B) {
	h, pool := serve(b, "w1"), newPool(b)
	ref := h.bytes(b, 1, large(1000))
	for b.Loop() {
		if _, err := fetched(b, pool, ref); err != nil {
			b.Fatal(err)
		}
	}
}
