package server

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/fleet"
	"github.com/millrace/millrace/identity"
)

// patience is how long anything may take that must happen at all.
const patience = 30 * time.Second

// loopback is a config of a coordinator of this machine alone.
func loopback() Config {
	return Config{Listen: "127.0.0.1:0", Version: "4.5.6", Logger: slog.New(slog.DiscardHandler)}
}

// start runs a server until the test ends; stop ends it before.
func start(t *testing.T, c Config) (s *Server, stop func()) {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run does not end")
		}
	}
	t.Cleanup(stop)
	return s, stop
}

// dial connects to a server.
func dial(t *testing.T, address string, creds credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// attach opens a session, and says how that went.
func attach(ctx context.Context, conn *grpc.ClientConn, name string) (grpc.BidiStreamingClient[pb.SessionRequest, pb.SessionResponse], error) {
	stream, err := pb.NewWorkerServiceClient(conn).Session(ctx)
	if err != nil {
		return nil, err
	}
	_ = stream.Send(&pb.SessionRequest{Attach: &pb.Attach{ // the answer says what was wrong
		Worker: name, Session: 1, Slots: 1, Protocol: api.Protocol, DataAddresses: []string{"0.0.0.0:7071"},
	}})
	_, err = stream.Recv()
	return stream, err
}

func TestWhatIsServedOnLoopback(t *testing.T) {
	s, stop := start(t, loopback())
	ctx := within(t)
	conn := dial(t, s.Addr(), insecure.NewCredentials())
	health, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
	if err != nil || health.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health is %v, %v", health, err)
	}
	session, err := attach(ctx, conn, "w")
	if err != nil {
		t.Fatal(err)
	}
	workers, err := api.NewClient(conn).Workers(ctx)
	if err != nil || len(workers) != 1 || workers[0].GetDataAddresses()[0] != "127.0.0.1:7071" {
		t.Errorf("the workers are %v, %v", workers, err)
	}
	stop()
	for err == nil {
		_, err = session.Recv()
	}
	if api.CodeOf(err) != api.Unavailable {
		t.Errorf("the session ended with %v", err)
	}
}

// A worker finds its coordinator by gossip, and is seen before it attaches.
func TestGossipTellsOfBoth(t *testing.T) {
	s, stop := start(t, loopback())
	ctx := within(t)
	gossip, err := fleet.Start(ctx, fleet.Config{
		Name: "w1", Incarnation: 7, Role: fleet.Worker, Bind: "127.0.0.1:0", Join: []string{s.GossipAddr()},
		Addresses: []string{"127.0.0.1:7171"}, Slots: 3, Version: "1.2.3", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	found := make(chan fleet.Member, 100)
	gossip.Watch(func(m fleet.Member) { found <- m })
	running := make(chan error, 1)
	gossipCtx, leave := context.WithCancel(ctx)
	go func() { running <- gossip.Run(gossipCtx) }()
	defer func() { leave(); <-running }()
	until(t, found, func(m fleet.Member) bool {
		return m.Role == fleet.Coordinator && m.Opinion == fleet.Alive && m.Addresses[0] == s.Addr() && m.Version == "4.5.6"
	})
	client := api.NewClient(dial(t, s.Addr(), insecure.NewCredentials()))
	for {
		workers, err := client.Workers(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(workers) == 0 {
			continue // each question is a round trip; it will be told soon
		}
		w := workers[0]
		if w.GetName() != "w1" || w.GetState() != pb.WorkerState_WORKER_STATE_UNATTACHED || w.GetIncarnation() != 7 || w.GetSlots() != 3 ||
			w.GetVersion() != "1.2.3" || w.GetDataAddresses()[0] != "127.0.0.1:7171" || w.GetGossipOpinion() != pb.GossipOpinion_GOSSIP_OPINION_ALIVE {
			t.Errorf("the worker is %v", w)
		}
		break
	}
	stop()
	until(t, found, func(m fleet.Member) bool { return m.Role == fleet.Coordinator && m.Opinion == fleet.Left })
}

// logged are the lines of a log that have a word.
type logged struct {
	word  string
	lines chan string
}

func (l logged) Write(line []byte) (int, error) {
	if strings.Contains(string(line), l.word) {
		l.lines <- string(line)
	}
	return len(line), nil
}

// Two coordinators that share a fleet say so, each with both addresses, and so
// does the list of workers.
func TestTwoCoordinatorsInOneFleet(t *testing.T) {
	ctx := within(t)
	var servers []*Server
	var logs []logged
	for range 2 {
		c, log := loopback(), logged{"another coordinator", make(chan string, 100)}
		c.Logger = slog.New(slog.NewTextHandler(log, nil))
		s, _ := start(t, c)
		servers, logs = append(servers, s), append(logs, log)
	}
	gossip, err := fleet.Start(ctx, fleet.Config{
		Name: "w1", Incarnation: 7, Role: fleet.Worker, Bind: "127.0.0.1:0", Join: []string{servers[0].GossipAddr(), servers[1].GossipAddr()},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	running := make(chan error, 1)
	gossipCtx, leave := context.WithCancel(ctx)
	go func() { running <- gossip.Run(gossipCtx) }()
	defer func() { leave(); <-running }()
	for i, s := range servers {
		other := servers[1-i].Addr()
		select {
		case line := <-logs[i].lines:
			if !strings.Contains(line, s.Addr()) || !strings.Contains(line, other) || !strings.Contains(line, "stop one of them") {
				t.Errorf("coordinator %d says %s", i, line)
			}
		case <-ctx.Done():
			t.Fatalf("coordinator %d does not notice the other", i)
		}
		client := api.NewClient(dial(t, s.Addr(), insecure.NewCredentials()))
		for { // each question is a round trip; it will be told soon
			workers, err := client.Workers(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if len(workers) == 1 && strings.Contains(workers[0].GetReason(), other) {
				break
			}
		}
	}
}

func until(t *testing.T, found <-chan fleet.Member, good func(fleet.Member) bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case m := <-found:
			if good(m) {
				return
			}
		case <-deadline:
			t.Fatal("gossip never tells it")
		}
	}
}

func TestIPv6(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skipf("there is no IPv6 here: %v", err)
	} else {
		l.Close()
	}
	c := loopback()
	c.Listen = "[::1]:0"
	s, _ := start(t, c)
	if !strings.HasPrefix(s.Addr(), "[::1]:") || !strings.HasPrefix(s.GossipAddr(), "[::1]:") {
		t.Errorf("it listens at %s and %s", s.Addr(), s.GossipAddr())
	}
	if _, err := api.NewClient(dial(t, s.Addr(), insecure.NewCredentials())).List(within(t), 1); err != nil {
		t.Error(err)
	}
}

func TestWhatIsRefusedAtTheStart(t *testing.T) {
	of := certificates(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for what, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no port":          {func(c *Config) { c.Listen = "127.0.0.1" }, "HOST:PORT"},
		"open to all":      {func(c *Config) { c.Listen = "0.0.0.0:0" }, "insecure"},
		"a port in use":    {func(c *Config) { c.Listen = taken.Addr().String() }, "in use"},
		"a worker's":       {func(c *Config) { c.TLS = of(identity.Worker) }, "has the role worker"},
		"no certificate":   {func(c *Config) { c.TLS.Cert = "/nowhere.crt" }, "tls"},
		"no gossip key":    {func(c *Config) { c.GossipKeyFile = "/nowhere.key" }, "nowhere"},
		"a wrong setting":  {func(c *Config) { c.Coordinator.MaxJobs = -1 }, "MaxJobs"},
		"a wrong profile":  {func(c *Config) { c.GossipProfile = "moon" }, "moon"},
		"a strange gossip": {func(c *Config) { c.Gossip = "x" }, "Gossip"},
	} {
		config := loopback()
		c.change(&config)
		if _, err := New(config); err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.want)) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What --insecure leaves open is said in the log, in the same words.
func TestWhatIsOpenIsLogged(t *testing.T) {
	for listen, want := range map[string]int{"127.0.0.1:0": 0, "0.0.0.0:0": 1} {
		c, log := loopback(), logged{"lets everybody who reaches it", make(chan string, 100)}
		c.Listen, c.Gossip, c.Insecure, c.Logger = listen, listen, true, slog.New(slog.NewTextHandler(log, nil))
		_, stop := start(t, c)
		stop()
		if len(log.lines) != want {
			t.Errorf("on %s it is said %d times", listen, len(log.lines))
		}
	}
}

// certificates are those of a small cluster, one for each role.
func certificates(t *testing.T) (of func(identity.Role) identity.Files) {
	t.Helper()
	dir := t.TempDir()
	if err := identity.MakeCA(dir, 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	files := make(map[identity.Role]identity.Files)
	for _, role := range all {
		f, err := identity.Issue(dir, "some-"+string(role), []identity.Role{role}, nil, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		files[role] = f
	}
	return func(r identity.Role) identity.Files {
		f := files[r]
		if f.CA == "" {
			f.CA = filepath.Join(dir, "ca.crt")
		}
		return f
	}
}

// Each role may do what is its own, and nothing else.
func TestRoles(t *testing.T) {
	of := certificates(t)
	c := loopback()
	c.TLS = of(identity.Coordinator)
	s, _ := start(t, c)
	ctx := within(t)
	who := &pb.WorkerSelector{Labels: map[string]string{"no": "such"}}
	spec := &pb.JobSpec{
		Source: &pb.Source{Range: &pb.IntegerRange{To: 1}}, Stages: []*pb.Stage{{Processor: &pb.Stage_Command{Command: "cat"}}},
	}
	for role, may := range map[identity.Role]struct{ submit, look, drain, lease bool }{
		identity.Client:      {submit: true, look: true},
		identity.Operator:    {submit: true, look: true, drain: true},
		identity.Worker:      {look: true, lease: true},
		identity.Coordinator: {},
	} {
		keeper, err := identity.Open(of(role))
		if err != nil {
			t.Fatal(err)
		}
		conn := dial(t, s.Addr(), keeper.ClientCredentials(identity.Coordinator))
		client := api.NewClient(conn)
		job, err := client.Submit(ctx, spec, "", api.As("somebody-else"))
		permitted(t, role, "submit a job", err, may.submit)
		if err == nil && job.GetUser() != "some-"+string(role) {
			t.Errorf("the %s's job is that of %q", role, job.GetUser())
		}
		_, err = client.List(ctx, 1)
		permitted(t, role, "list jobs", err, may.submit)
		_, err = client.Workers(ctx)
		permitted(t, role, "look at the workers", err, may.look)
		_, err = client.Drain(ctx, who, time.Second)
		permitted(t, role, "drain workers", err, may.drain)
		_, err = client.Cordon(ctx, who)
		permitted(t, role, "cordon workers", err, may.drain)
		_, err = client.Uncordon(ctx, who)
		permitted(t, role, "uncordon workers", err, may.drain)
		_, err = attach(ctx, conn, "w-"+string(role))
		permitted(t, role, "lease", err, may.lease)
		upload, err := pb.NewWorkerServiceClient(conn).Upload(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_ = upload.Send(&pb.UploadRequest{Ticket: "guessed"})
		if _, err = upload.CloseAndRecv(); may.lease != (api.CodeOf(err) == api.Stale) || !may.lease != (api.CodeOf(err) == api.Forbidden) {
			t.Errorf("the %s's upload with a guessed ticket got %v", role, err)
		}
		_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
		permitted(t, role, "ask for the health", err, true)
	}
	plain := api.NewClient(dial(t, s.Addr(), insecure.NewCredentials()))
	if _, err := plain.List(ctx, 1); err == nil {
		t.Error("a client without TLS was served")
	}
}

func permitted(t *testing.T, role identity.Role, what string, err error, may bool) {
	t.Helper()
	switch {
	case may && err != nil:
		t.Errorf("a %s can't %s: %v", role, what, err)
	case !may && err == nil:
		t.Errorf("a %s may %s", role, what)
	case !may && api.CodeOf(err) != api.Forbidden:
		t.Errorf("a %s that wants to %s gets %s: %v", role, what, api.CodeOf(err), err)
	}
}

// Every method that is served is in the table of roles.
func TestEveryMethodHasItsRoles(t *testing.T) {
	s, err := New(loopback())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	defer func() { _ = s.Run(ctx) }()
	served := 0
	for name, info := range s.grpc.GetServiceInfo() {
		for _, method := range info.Methods {
			served++
			if len(roles["/"+name+"/"+method.Name]) == 0 {
				t.Errorf("nobody may call /%s/%s", name, method.Name)
			}
		}
	}
	if served < 20 {
		t.Errorf("only %d methods are served", served)
	}
	if err := permit(t.Context(), "/millrace.v1.JobService/Unheard"); err == nil || api.CodeOf(err) != api.Forbidden {
		t.Errorf("a method that is in no table got %v", err)
	}
}
