package dataplane_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/api/dataplane"
	pb "github.com/millrace/millrace/api/millracev1"
)

// piece is how large the messages of the test's servers are.
const piece = 100_000

// part is a part of a result as a test has it.
type part struct {
	data   []byte
	covers int64 // positions
	worker *worker
}

// worker serves parts by Flight, under their numbers.
type worker struct {
	flight.UnimplementedFlightServiceServer
	name, addr string
	server     *grpc.Server

	mu    sync.Mutex
	parts map[string][]byte
	// cut ends the serving of a part in the middle, once so much was sent.
	cut   int
	how   error
	asked int
}

// DoGet sends a part as another worker would.
func (w *worker) DoGet(t *flight.Ticket, stream flight.FlightService_DoGetServer) error {
	w.mu.Lock()
	data, cut, how := w.parts[string(t.GetTicket())], w.cut, w.how
	w.asked++
	w.mu.Unlock()
	if data == nil {
		return status.Error(codes.NotFound, "there is none")
	}
	stream.SendHeader(metadata.Pairs(dataplane.RawKey, "1"))
	sent := 0
	for chunk := range slices.Chunk(data, piece) {
		if how != nil && sent >= cut {
			return how
		}
		if err := stream.Send(&flight.FlightData{DataBody: chunk}); err != nil {
			return err
		}
		sent += len(chunk)
	}
	return nil
}

// boss is a coordinator with one kept result.
type boss struct {
	pb.UnimplementedJobServiceServer
	mu    sync.Mutex
	parts []part
	// remake is what the parts are once somebody has found one missing.
	remake []part
	read   []uint64 // from which parts on it was read
}

func (b *boss) now() []part {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.parts
}

// LocateResult tells where the parts are.
func (b *boss) LocateResult(r *pb.LocateResultRequest, stream grpc.ServerStreamingServer[pb.LocateResultResponse]) error {
	if r.GetId() != "job" {
		return api.Errorf(api.NotFound, "no job %s", r.GetId())
	}
	answer := &pb.LocateResultResponse{Header: &pb.ResultHeader{Format: pb.Format_FORMAT_LINES}}
	at := int64(0)
	for _, p := range b.now() {
		where := &pb.ResultPart{Bytes: int64(len(p.data)), Position: at, EndPosition: at + p.covers}
		at += p.covers
		if p.worker != nil {
			where.Worker, where.Addresses, where.Ticket = p.worker.name, []string{p.worker.addr}, p.worker.hold(p.data)
		}
		answer.Parts = append(answer.Parts, where)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.remake != nil {
		b.parts, b.remake = b.remake, nil
	}
	return stream.Send(answer)
}

// ReadResult sends the parts.
func (b *boss) ReadResult(r *pb.ReadResultRequest, stream grpc.ServerStreamingServer[pb.ReadResultResponse]) error {
	if r.GetId() != "job" {
		return api.Errorf(api.NotFound, "no job %s", r.GetId())
	}
	b.mu.Lock()
	b.read = append(b.read, r.GetSkipParts())
	b.mu.Unlock()
	stream.Send(&pb.ReadResultResponse{Header: &pb.ResultHeader{Format: pb.Format_FORMAT_LINES}})
	for _, p := range b.now()[r.GetSkipParts():] {
		begins := true
		for chunk := range slices.Chunk(p.data, piece) {
			if err := stream.Send(&pb.ReadResultResponse{Data: chunk, BeginsOutput: begins}); err != nil {
				return err
			}
			begins = false
		}
	}
	return nil
}

// hold keeps a part, and tells its ticket.
func (w *worker) hold(data []byte) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	ticket := fmt.Sprintf("%s %d %x", w.name, len(data), data[:1])
	if w.parts[ticket] == nil {
		w.parts[ticket] = data
	}
	return []byte(ticket)
}

func listen(t *testing.T, register func(*grpc.Server)) (string, *grpc.Server) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	register(server)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return listener.Addr().String(), server
}

func newWorker(t *testing.T, name string) *worker {
	w := &worker{name: name, parts: map[string][]byte{}}
	w.addr, w.server = listen(t, func(s *grpc.Server) { flight.RegisterFlightServiceServer(s, w) })
	return w
}

// world is a coordinator with a result of ten parts on three workers, and a
// client.
type world struct {
	*boss
	workers []*worker
	client  *api.Client
	pool    *dataplane.Pool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{boss: &boss{}, pool: dataplane.NewPool(nil)}
	for i := range 3 {
		w.workers = append(w.workers, newWorker(t, fmt.Sprint("w", i)))
	}
	for i := range 10 {
		w.parts = append(w.parts, part{content(i, 350_000+i), int64(i + 1), w.workers[i%3]})
	}
	addr, _ := listen(t, func(s *grpc.Server) { pb.RegisterJobServiceServer(s, w.boss) })
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	w.client = api.NewClient(conn)
	t.Cleanup(func() {
		conn.Close()
		w.pool.Close()
	})
	return w
}

func content(seed, n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(seed + i*i>>3)
	}
	return data
}

// outputs is all of the result, output by output.
func (w *world) outputs(t *testing.T) ([][]byte, error) {
	t.Helper()
	result, err := dataplane.Result(t.Context(), w.client, w.pool, "job")
	if err != nil {
		return nil, err
	}
	defer result.Close()
	if result.Header().GetFormat() != pb.Format_FORMAT_LINES {
		t.Errorf("the header is %v", result.Header())
	}
	var all [][]byte
	for output, err := range result.Outputs() {
		if err != nil {
			return all, err
		}
		data, err := io.ReadAll(output)
		if err != nil {
			return all, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (w *world) want() [][]byte {
	var all [][]byte
	for _, p := range w.now() {
		all = append(all, p.data)
	}
	return all
}

func same(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

func (w *world) askedOfWorkers() (n int) {
	for _, worker := range w.workers {
		n += worker.asked
	}
	return n
}

func TestALargeResultComesFromTheWorkers(t *testing.T) {
	w := newWorld(t)
	got, err := w.outputs(t)
	if err != nil || !same(got, w.want()) {
		t.Errorf("%d outputs, %v", len(got), err)
	}
	if len(w.read) > 0 || w.askedOfWorkers() != 10 {
		t.Errorf("the coordinator was read from %v, the workers were asked %d times", w.read, w.askedOfWorkers())
	}
}

// A small result, and one of workers that serve nothing, comes through the
// coordinator at once; so does the error of one that there is not.
func TestThroughTheCoordinator(t *testing.T) {
	w := newWorld(t)
	for i := range w.parts {
		w.parts[i].worker = nil
	}
	if got, err := w.outputs(t); err != nil || !same(got, w.want()) {
		t.Errorf("%d outputs, %v", len(got), err)
	}
	w.parts = []part{{[]byte("small"), 1, w.workers[0]}}
	if got, err := w.outputs(t); err != nil || !same(got, w.want()) {
		t.Errorf("%q, %v", got, err)
	}
	if len(w.read) != 2 || w.askedOfWorkers() != 0 {
		t.Errorf("the coordinator was read from %v, the workers were asked %d times", w.read, w.askedOfWorkers())
	}
	if _, err := dataplane.Result(t.Context(), w.client, w.pool, "none"); api.CodeOf(err) != api.NotFound {
		t.Errorf("an unknown job: %v", err)
	}
}

// What a dead worker held, and only that, comes through the coordinator.
func TestAWorkerThatIsDead(t *testing.T) {
	w := newWorld(t)
	w.workers[1].server.Stop()
	got, err := w.outputs(t)
	if err != nil || !same(got, w.want()) {
		t.Errorf("%d outputs, %v", len(got), err)
	}
	if !slices.Equal(w.read, []uint64{1, 4, 7}) {
		t.Errorf("the coordinator was read from %v", w.read)
	}
}

// Nobody but the coordinator can be reached: one stream gives all that is left.
func TestNoWorkerCanBeReached(t *testing.T) {
	w := newWorld(t)
	for _, worker := range w.workers {
		worker.server.Stop()
	}
	got, err := w.outputs(t)
	if err != nil || !same(got, w.want()) {
		t.Errorf("%d outputs, %v", len(got), err)
	}
	if len(w.read) > 3 {
		t.Errorf("the coordinator was read from %v", w.read)
	}
}

// What is closed early holds nothing any more.
func TestAResultThatIsClosedEarly(t *testing.T) {
	w := newWorld(t)
	w.workers[2].server.Stop()
	for i := range 4 {
		result, err := dataplane.Result(t.Context(), w.client, w.pool, "job")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(result, make([]byte, 2*piece)); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			result.Close()
			continue
		}
		closed := make(chan bool) // while it is read
		go func() {
			result.Close()
			close(closed)
		}()
		io.Copy(io.Discard, result)
		<-closed
	}
	if n := w.pool.InUse(); n != 0 {
		t.Errorf("%d uses of connections have not ended", n)
	}
}

// A stream that breaks in the middle of a part goes on where it broke.
func TestAStreamThatBreaks(t *testing.T) {
	for _, how := range []error{status.Error(codes.Unavailable, "bye"), status.Error(codes.DataLoss, "damaged"), status.Error(codes.NotFound, "dropped")} {
		w := newWorld(t)
		w.workers[2].cut, w.workers[2].how = 2*piece, how
		got, err := w.outputs(t)
		if err != nil || !same(got, w.want()) {
			t.Errorf("%v: %d outputs, %v", how, len(got), err)
		}
	}
}

// A part that was lost and made again as several is found among the new ones.
func TestALostPartBecomesSeveral(t *testing.T) {
	w := newWorld(t)
	old := w.now()
	half := len(old[3].data) / 2
	w.remake = slices.Concat(old[:3], []part{
		{old[3].data[:half], 1, w.workers[1]}, {old[3].data[half:], 3, w.workers[2]},
	}, old[4:])
	w.workers[0].how = status.Error(codes.NotFound, "lost")
	got, err := w.outputs(t)
	if err != nil || !same(got, w.want()) {
		t.Errorf("%d outputs, %v, want %d", len(got), err, len(w.want()))
	}
	if !slices.Equal(w.read, []uint64{0, 7, 10}) { // what was part 6 and 9 comes one later
		t.Errorf("the coordinator was read from %v", w.read)
	}
}

// A part that came out otherwise, after its beginning was read, is no result.
func TestAPartThatComesOutOtherwise(t *testing.T) {
	w := newWorld(t)
	w.workers[0].cut, w.workers[0].how = 2*piece, status.Error(codes.NotFound, "lost")
	other := slices.Clone(w.now())
	other[0] = part{content(99, 350_000), 1, w.workers[1]}
	w.remake = other
	_, err := w.outputs(t)
	if api.CodeOf(err) != api.Conflict {
		t.Errorf("the result ends with %v, want a conflict", err)
	}
}

func TestAResultThatIsClosed(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	result, err := dataplane.Result(ctx, w.client, w.pool, "job")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(result, make([]byte, 2*piece)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, result); !errors.Is(err, context.Canceled) && api.CodeOf(err) != api.Cancelled {
		t.Errorf("the result ends with %v", err)
	}
	result.Close()
}
