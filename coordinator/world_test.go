package coordinator

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

// world is a coordinator that serves over an in-memory connection. All of it
// lives in a bubble, so its time is free, and a test fails when anything that
// was started is still there at its end.
type world struct {
	testing.TB
	ctx    context.Context
	c      *Coordinator
	conn   *grpc.ClientConn
	client *api.Client
	stop   func() // ends Run, and waits for it
	close  func()
}

// patience is how long, in the bubble's time, anything may take.
const patience = 10 * time.Minute

func inWorld(t *testing.T, config Config, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, config)
		defer w.close()
		test(w)
	})
}

func newWorld(t testing.TB, config Config) *world {
	t.Helper()
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{c: c}
	w.TB = t
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.ctx = ctx
	running, ended := make(chan error, 1), false
	runCtx, stop := context.WithCancel(ctx)
	go func() { running <- c.Run(runCtx) }()
	w.stop = func() {
		stop()
		if !ended {
			ended = true
			if err := <-running; err != nil {
				t.Errorf("Run: %v", err)
			}
		}
	}
	server := grpc.NewServer(c.ServerOptions()...)
	c.Register(server)
	listener := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	w.conn, err = grpc.NewClient("passthrough:///memory",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	w.client = api.NewClient(w.conn)
	w.close = func() {
		w.stop()
		if n := c.relay.Waiting(); n > 0 {
			t.Errorf("%d transfers are left", n)
		}
		w.conn.Close()
		server.Stop()
		<-served
		cancel()
	}
	return w
}

// streamed is the time for which a result is kept that is read once.
var streamed = durationpb.New(0)

// submit submits a job of one function over a range, with changes.
func (w *world) submit(key string, change ...func(*pb.JobSpec)) *pb.Job {
	w.Helper()
	told, err := w.client.Submit(w.ctx, spec(change...), key, api.ReadOnce())
	w.must(err)
	return told
}

func spec(change ...func(*pb.JobSpec)) *pb.JobSpec {
	s := &pb.JobSpec{
		Name:   "test",
		Source: &pb.Source{Range: &pb.IntegerRange{From: 0, To: 100}},
		Stages: []*pb.Stage{{Processor: &pb.Stage_Command{Command: "cat"}}},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

// plan is a plan of batches of one position each, whose outputs are the result.
func plan(batches int64) *pb.Plan {
	return &pb.Plan{
		Fragments: []*pb.Fragment{{Unit: pb.Unit_UNIT_RECORDS, Extent: batches, Records: batches}},
		Stages: []*pb.StagePlan{{
			Name:   "cat",
			Input:  pb.StageInput_STAGE_INPUT_SOURCE,
			Cut:    &pb.Cut{Rule: pb.CutRule_CUT_RULE_BATCHES, Size: batches},
			Output: pb.OutputKind_OUTPUT_KIND_BYTES,
		}},
		ResultFormat:  pb.Format_FORMAT_LINES,
		ResultColumns: []*pb.Column{{Name: "line", Type: "VARCHAR"}},
		Notes:         []string{"planned by a test"},
	}
}

// pass lets the bubble's time pass.
func pass(d time.Duration) { <-time.After(d) }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// refused checks the code of an error.
func (w *world) refused(what string, err error, code api.Code) *api.Error {
	w.Helper()
	if err == nil {
		w.Fatalf("%s was not refused", what)
	}
	if got := api.CodeOf(err); got != code {
		w.Fatalf("%s got %s (%v), want %s", what, got, err, code)
	}
	return api.AsError(err)
}

// until watches a job until it is in a state.
func (w *world) until(id string, state pb.JobState) *pb.Job {
	w.Helper()
	for told, err := range w.client.Watch(w.ctx, id) {
		w.must(err)
		if told.GetState() == state {
			return proto.CloneOf(told)
		}
		if api.Ended(told.GetState()) {
			w.Fatalf("the job ended as %s: %v", told.GetState(), told.GetFailure())
		}
	}
	w.Fatalf("the job never was %s", state)
	return nil
}
