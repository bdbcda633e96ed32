package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/api/dataplane"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/fleet"
)

// boss is a coordinator, led by a test: a server that gossips.
type boss struct {
	pb.UnimplementedWorkerServiceServer
	heard  chan *pb.SessionRequest // of all sessions
	says   chan *pb.SessionResponse
	refuse error       // of new sessions
	mute   atomic.Bool // answers no heartbeat
	peers  chan string // where sessions come from

	server *grpc.Server
	addr   string
	gossip *fleet.Gossip
	ended  chan error
	end    context.CancelFunc
}

// Session passes messages between a worker and the test.
func (b *boss) Session(stream grpc.BidiStreamingServer[pb.SessionRequest, pb.SessionResponse]) error {
	if b.refuse != nil {
		return b.refuse
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	from, _ := peer.FromContext(ctx)
	b.peers <- from.Addr.String()
	go func() {
		defer cancel()
		for {
			request, err := stream.Recv()
			if err != nil {
				return
			}
			if beat := request.GetHeartbeat(); beat != nil && !b.mute.Load() {
				stream.Send(&pb.SessionResponse{Heartbeat: beat.GetSequence()})
			}
			select {
			case b.heard <- request:
			case <-ctx.Done():
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case response := <-b.says:
			if err := stream.Send(response); err != nil {
				return err
			}
		}
	}
}

// open starts a boss that gossips on an address, with members to join.
func open(t *testing.T, gossip string, join ...string) *boss {
	t.Helper()
	return openWith(t, gossip, join)
}

func openWith(t *testing.T, gossip string, join []string, options ...grpc.ServerOption) *boss {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &boss{heard: make(chan *pb.SessionRequest, 1024), says: make(chan *pb.SessionResponse), ended: make(chan error, 1), peers: make(chan string, 64), addr: listener.Addr().String()}
	b.server = grpc.NewServer(append(options, grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}))...)
	pb.RegisterWorkerServiceServer(b.server, b)
	ctx, cancel := context.WithCancel(context.Background())
	b.end = cancel
	b.gossip, err = fleet.Start(ctx, fleet.Config{
		Name: "boss", Incarnation: uint64(time.Now().UnixNano()), Role: fleet.Coordinator, Bind: gossip, Join: join,
		Addresses: []string{b.addr}, Profile: "local", Logger: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { b.ended <- b.gossip.Run(ctx) }()
	go b.server.Serve(listener)
	t.Cleanup(b.crash)
	return b
}

// crash ends a boss without a word.
func (b *boss) crash() {
	b.end()
	<-b.ended
	b.ended <- nil
	b.server.Stop()
}

func quiet() *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

// hand is a running worker.
type hand struct {
	*Server
	cancel context.CancelFunc
	ended  chan error
}

// start runs a worker that joins what gossips at an address.
func start(t *testing.T, join string, change ...func(*Config)) *hand {
	t.Helper()
	config := Config{
		Name: "w1", Join: []string{join}, Slots: 2, MemoryBytes: 1 << 28, SpoolFolder: t.TempDir(),
		AllowCommands: []string{"cat", "sleep"}, Zone: "here", Version: "v1", Logger: quiet(),
	}
	for _, c := range change {
		c(&config)
	}
	s, err := New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &hand{Server: s, cancel: cancel, ended: make(chan error, 1)}
	go func() { h.ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-h.ended
	})
	return h
}

// wait is how Run ended.
func (h *hand) wait() error {
	err := <-h.ended
	h.ended <- nil
	return err
}

// hear waits for a message that has what the test wants.
func hear[T any](t *testing.T, b *boss, want func(*pb.SessionRequest) (T, bool)) T {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case request := <-b.heard:
			if found, ok := want(request); ok {
				return found
			}
		case <-deadline:
			t.Fatal("the worker never said it")
		}
	}
}

func attach(r *pb.SessionRequest) (*pb.Attach, bool) { return r.GetAttach(), r.GetAttach() != nil }

func outcome(r *pb.SessionRequest) (*pb.Outcome, bool) {
	if len(r.GetOutcomes()) == 0 {
		return nil, false
	}
	return r.GetOutcomes()[0], true
}

func answer() *pb.SessionResponse {
	return &pb.SessionResponse{Attached: &pb.Attached{
		Term: 1, Protocol: api.Protocol, Lease: durationpb.New(2 * time.Second), Heartbeat: durationpb.New(200 * time.Millisecond),
	}}
}

// work is a batch of inline records for a program.
func work(batch uint64, argv ...string) *pb.SessionResponse {
	return &pb.SessionResponse{
		Jobs: []*pb.JobContext{{
			Digest: strings.Join(argv, " "), Job: 1, JobId: "job",
			Spec: &pb.JobSpec{Source: &pb.Source{Records: []string{"a", "b"}}},
			Plan: &pb.Plan{Format: pb.Format_FORMAT_LINES},
			Stage: &pb.StagePlan{
				Name: "stage", Output: pb.OutputKind_OUTPUT_KIND_BYTES,
				Steps: []*pb.Step{{Processor: &pb.Step_Command{Command: &pb.CommandStep{
					Argv: argv, Options: &pb.CommandOptions{InputFormat: pb.Format_FORMAT_LINES, OutputFormat: pb.Format_FORMAT_LINES},
				}}}},
			},
		}},
		Grants: []*pb.Lease{{
			Fence: &pb.Fence{Job: 1, Batch: batch, Attempt: 1, Term: 1}, Kind: pb.LeaseKind_LEASE_KIND_PROCESS,
			Context: strings.Join(argv, " "),
			Splits:  []*pb.Split{{To: 2, Source: &pb.Fragment{Unit: pb.Unit_UNIT_RECORDS, Extent: 2, Records: 2}}},
		}},
	}
}

// A worker finds its coordinator by gossip, says who it is, and serves the
// outputs that it makes at the address that it announced.
func TestAWorkerTakesPart(t *testing.T) {
	b := open(t, "127.0.0.1:0")
	h := start(t, b.gossip.Addr(), func(c *Config) { c.DataRoots = []string{t.TempDir()} })
	a := hear(t, b, attach)
	if a.GetWorker() != "w1" || a.GetProtocol() != api.Protocol || a.GetZone() != "here" || a.GetIncarnation() == 0 ||
		a.GetSession() != a.GetIncarnation()+1 || len(a.GetDataRoots()) != 1 || a.GetDataAddresses()[0] != h.DataAddr() ||
		!strings.HasPrefix(h.DataAddr(), "127.0.0.1:") || !strings.HasPrefix(h.GossipAddr(), "127.0.0.1:") {
		t.Errorf("the attach is %v; data %s, gossip %s", a, h.DataAddr(), h.GossipAddr())
	}
	b.says <- answer()
	b.says <- work(1, "cat")
	done := hear(t, b, outcome)
	if done.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_DONE {
		t.Fatalf("the outcome is %v", done)
	}
	pool := dataplane.NewPool(nil)
	defer pool.Close()
	for job, want := range map[uint64]string{1: "a\nb\n", 2: ""} {
		ticket, err := proto.Marshal(&pb.OutputTicket{Job: job, Output: done.GetOutput().GetId()})
		if err != nil {
			t.Fatal(err)
		}
		output, err := pool.Open(t.Context(), a.GetDataAddresses(), ticket)
		if want == "" {
			if !errors.Is(err, dataplane.ErrGone) {
				t.Errorf("another job's output: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(output); err != nil || string(got) != want {
			t.Errorf("the output is %q, %v", got, err)
		}
		output.Close()
	}
	b.says <- work(2, "rm", "-rf", "/")
	if refused := hear(t, b, outcome); refused.GetClass() != pb.OutcomeClass_OUTCOME_CLASS_UNABLE || !strings.Contains(refused.GetFailure().GetMessage(), "cat, sleep") {
		t.Errorf("a program that is not allowed: %v", refused)
	}
}

// A coordinator that crashes and comes back elsewhere is found again, with all
// that the worker has.
func TestACoordinatorThatMoves(t *testing.T) {
	b := open(t, "127.0.0.1:0")
	h := start(t, b.gossip.Addr())
	first := hear(t, b, attach)
	b.says <- answer()
	b.says <- work(1, "cat")
	hear(t, b, outcome)
	h.bosses.mu.Lock()
	if h.bosses.home != b.addr {
		t.Errorf("it was taken at %q, want %q", h.bosses.home, b.addr)
	}
	h.bosses.mu.Unlock()
	b.crash()
	again := open(t, "127.0.0.1:0", h.GossipAddr())
	a := hear(t, again, attach)
	if a.GetIncarnation() != first.GetIncarnation() || a.GetSession() <= first.GetSession() || len(a.GetOutcomes()) != 1 || len(a.GetJobs()) != 1 {
		t.Errorf("the attach is %v", a)
	}
	// This one knows no such job: everything of it goes.
	again.says <- answer()
	again.says <- &pb.SessionResponse{EndedJobs: []uint64{1}}
	beat := func(r *pb.SessionRequest) (*pb.Heartbeat, bool) {
		return r.GetHeartbeat(), r.GetHeartbeat() != nil && r.GetHeartbeat().GetSpoolBytes() == 0
	}
	hear(t, again, beat)
	if files, _ := filepath.Glob(filepath.Join(h.config.SpoolFolder, "spool-*", "*")); len(files) != 1 {
		t.Errorf("the spool holds %q, and should hold its lock alone", files)
	}
}

// Where there are two coordinators a worker stays with the one that knows it.
func TestAWorkerStaysWhereItWasTaken(t *testing.T) {
	c := newCoordinators(insecure.NewCredentials(), quiet())
	member := func(name, address string, opinion fleet.Opinion) fleet.Member {
		return fleet.Member{Name: name, Role: fleet.Coordinator, Addresses: []string{address}, Opinion: opinion}
	}
	c.observe(member("a", "h:1", fleet.Alive))
	c.observe(member("b", "h:2", fleet.Alive))
	c.observe(member("c", "h:3", fleet.Alive))
	want := func(addrs ...string) {
		t.Helper()
		if got := c.known(); !slices.Equal(got, addrs) {
			t.Errorf("they are reached at %q, want %q", got, addrs)
		}
	}
	want("h:1", "h:2", "h:3")
	c.attached("h:2")
	want("h:2", "h:1", "h:3")
	c.observe(member("b", "h:2", fleet.Dead))
	want("h:1", "h:3", "h:2")
}

// A coordinator that hears but does not answer is left, and asked again through
// another connection.
func TestASilentCoordinatorIsLeft(t *testing.T) {
	b := open(t, "127.0.0.1:0")
	start(t, b.gossip.Addr())
	first := hear(t, b, attach)
	b.says <- answer()
	b.mute.Store(true)
	second := hear(t, b, attach)
	if from, again := <-b.peers, <-b.peers; from == again || second.GetSession() <= first.GetSession() {
		t.Errorf("session %d from %s, then %d from %s", first.GetSession(), from, second.GetSession(), again)
	}
}

func TestADrainedWorkerLeaves(t *testing.T) {
	b := open(t, "127.0.0.1:0")
	left := make(chan fleet.Opinion, 64)
	b.gossip.Watch(func(m fleet.Member) { left <- m.Opinion })
	h := start(t, b.gossip.Addr())
	hear(t, b, attach)
	b.says <- answer()
	h.Drain(time.Minute)
	if err := h.wait(); err != nil {
		t.Errorf("Run = %v", err)
	}
	for opinion := range left {
		if opinion == fleet.Left {
			break
		}
	}
	if files, _ := os.ReadDir(h.config.SpoolFolder); len(files) > 0 {
		t.Errorf("the spool is still there: %v", files)
	}
}

func TestARefusedWorkerEnds(t *testing.T) {
	b := open(t, "127.0.0.1:0")
	b.refuse = api.Errorf(api.Invalid, "worker w1 speaks protocol 1: upgrade it")
	log := newWatched("level=WARN", "refuses the worker", "upgrade it")
	h := start(t, b.gossip.Addr(), func(c *Config) { c.Logger = log.logger() })
	<-log.seen
	if err := h.wait(); api.CodeOf(err) != api.Invalid || err.Error() != "worker w1 speaks protocol 1: upgrade it" {
		t.Errorf("Run = %v", err)
	}
}

func TestAStoppedWorkerEndsAtOnce(t *testing.T) {
	b := open(t, "127.0.0.1:0")
	h := start(t, b.gossip.Addr())
	hear(t, b, attach)
	b.says <- answer()
	b.says <- work(1, "sleep", "600")
	running := func(r *pb.SessionRequest) (bool, bool) { return true, len(r.GetHeartbeat().GetProgress()) > 0 }
	hear(t, b, running)
	h.cancel()
	if err := h.wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
}

func TestAWrongConfigurationSaysAll(t *testing.T) {
	_, err := New(t.Context(), Config{
		Name: "a b", Listen: "nowhere", DataRoots: []string{"/no/such/folder"}, Gossip: "127.0.0.1:0", MemoryBytes: 1, SpoolBytes: 1,
		Slots: 1 << 20, Labels: map[string]string{strings.Repeat("x", 100): ""}, Zone: strings.Repeat("z", 64),
	})
	for _, want := range []string{`"a b"`, "--join", `"nowhere"`, "/no/such/folder", "--max-memory", "--spool-bytes", "slots", "xxx", "zzz"} {
		if err == nil || strings.Count(err.Error(), want) == 0 {
			t.Errorf("%s is missing in: %v", want, err)
		}
	}
	if api.CodeOf(err) != api.Invalid {
		t.Errorf("the code is %v", api.CodeOf(err))
	}
}

// A worker that can't be started says why, once, and what is wrong with --join
// before what follows from that.
func TestWhereAWorkerIs(t *testing.T) {
	unknown := func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
	for name, test := range map[string]struct {
		config    Config
		has, lack string
	}{
		"no host":             {Config{Join: []string{"foo"}}, `"foo"`, "--insecure"},
		"no port":             {Config{Join: []string{"foo:"}}, `"foo:"`, "--insecure"},
		"port 0":              {Config{Join: []string{"foo:0"}}, `"foo:0"`, "--insecure"},
		"one of two":          {Config{Join: []string{"127.0.0.1:1", ":7"}}, `":7"`, "127.0.0.1:1"},
		"a large port":        {Config{Join: []string{"127.0.0.1:1"}, Listen: "127.0.0.1:65536"}, "--listen", "--gossip"},
		"exposed, once":       {Config{Join: []string{"127.0.0.1:1"}, Listen: "0.0.0.0:0"}, "taken for a coordinator", "submit"},
		"exposed to gossip":   {Config{Join: []string{"127.0.0.1:1"}, Listen: "127.0.0.1:0", Gossip: ":0"}, "all addresses", "127.0.0.1 lets"},
		"behind another":      {Config{Join: []string{"127.0.0.1:1"}, Advertise: "192.0.2.77:9"}, "all addresses", "submit"},
		"a name unknown":      {Config{Join: []string{"foo.invalid:7401"}, Resolve: unknown}, "foo.invalid:7401", "submit"},
		"unknown, but listen": {Config{Join: []string{"foo.invalid:7401"}, Resolve: unknown, Listen: "0.0.0.0:0"}, "a worker on 0.0.0.0", "foo.invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.Name, test.config.MemoryBytes, test.config.SpoolFolder = "w", 1<<28, t.TempDir()
			_, err := New(t.Context(), test.config)
			if err == nil || !strings.Contains(err.Error(), test.has) || strings.Contains(err.Error(), test.lack) || strings.Count(err.Error(), "--insecure") > 1 {
				t.Errorf("want %q, and no %q, in: %v", test.has, test.lack, err)
			}
			if api.CodeOf(err) != api.Invalid {
				t.Errorf("the code is %v", api.CodeOf(err))
			}
		})
	}
}

// Who is told to be reached at an address of the machine's listens there.
func TestAdvertiseAlone(t *testing.T) {
	c, err := Config{Join: []string{"127.0.0.1:1"}, Advertise: "127.0.0.1:9"}.place(t.Context())
	if err != nil || c.Listen != "127.0.0.1:0" || c.Gossip != "127.0.0.1:0" {
		t.Errorf("it listens on %q and %q, %v", c.Listen, c.Gossip, err)
	}
}

// What is open since it is meant to be is said.
func TestAnOpenWorkerSaysSo(t *testing.T) {
	b := open(t, "127.0.0.1:0")
	log := newWatched("level=WARN", "everybody", "as --insecure says")
	start(t, b.gossip.Addr(), func(c *Config) { c.Logger, c.Listen, c.Insecure = log.logger(), "0.0.0.0:0", true })
	<-log.seen
}

func TestNamesAreInvented(t *testing.T) {
	a, b := inventedName(), inventedName()
	if a == b || len(a) > maxZone || strings.ContainsFunc(a, unfit) {
		t.Errorf("names are %q and %q", a, b)
	}
}
