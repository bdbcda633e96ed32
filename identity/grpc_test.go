package identity

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/millrace/millrace/api"
)

const year = 365 * 24 * time.Hour

// authority makes a CA in a new folder.
func authority(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	if err := MakeCA(dir, 2*year); err != nil {
		t.Fatal(err)
	}
	return dir
}

func issue(t *testing.T, dir, name string, roles ...Role) Files {
	t.Helper()
	f, err := Issue(dir, name, roles, nil, year)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func open(t *testing.T, f Files) *Keeper {
	t.Helper()
	k, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	k.LogTo(slog.New(slog.DiscardHandler))
	return k
}

// syncBuffer is a log that a test reads while it is written.
type syncBuffer struct {
	mu     sync.Mutex
	b      bytes.Buffer
	change chan struct{}
}

// Write takes a line.
func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.change)
	s.change = make(chan struct{})
	return s.b.Write(p)
}

func (s *syncBuffer) read() (text string, change <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String(), s.change
}

// await waits until all of the words are in the log: the other side may be told
// before it is written.
func (s *syncBuffer) await(t *testing.T, words ...string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for _, w := range words {
		for text, change := s.read(); !strings.Contains(text, w); text, change = s.read() {
			select {
			case <-change:
			case <-deadline:
				t.Fatalf("%q is not in the log: %s", w, text)
			}
		}
	}
}

func logged(k *Keeper) *syncBuffer {
	b := &syncBuffer{change: make(chan struct{})}
	k.LogTo(slog.New(slog.NewTextHandler(b, nil)))
	return b
}

// serve starts a server whose calls take a role, and gives its address. It tells
// seen of each caller.
func serve(t *testing.T, creds credentials.TransportCredentials, seen func(Peer), takes ...Role) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	guard := func(ctx context.Context) error {
		if p, ok := PeerOf(ctx); ok && seen != nil {
			seen(p)
		}
		return Require(ctx, takes...)
	}
	s := grpc.NewServer(grpc.Creds(creds),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if err := guard(ctx); err != nil {
				return nil, err
			}
			return next(ctx, req)
		}))
	healthpb.RegisterHealthServer(s, health.NewServer())
	go s.Serve(l) //nolint:errcheck // it ends with the test
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

// call connects and calls once.
func call(t *testing.T, address string, creds credentials.TransportCredentials) error {
	t.Helper()
	_, err := healthpb.NewHealthClient(connect(t, address, creds)).Check(t.Context(), &healthpb.HealthCheckRequest{})
	return err
}

func connect(t *testing.T, address string, creds credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("want an error with %q, got: %v", w, err)
		}
	}
}

func TestCallsTakeTheirRole(t *testing.T) {
	dir := authority(t)
	var mu sync.Mutex
	var seen Peer
	server := open(t, issue(t, dir, "c", Coordinator))
	address := serve(t, server.ServerCredentials(), func(p Peer) {
		mu.Lock()
		defer mu.Unlock()
		seen = p
	}, Client, Operator)
	for name, c := range map[string]struct {
		roles   []Role
		allowed bool
	}{
		"a client": {[]Role{Client}, true}, "an operator": {[]Role{Operator}, true}, "both": {[]Role{Worker, Client}, true},
		"a worker": {[]Role{Worker}, false}, "another coordinator": {[]Role{Coordinator}, false},
	} {
		err := call(t, address, open(t, issue(t, dir, name, c.roles...)).ClientCredentials(Coordinator))
		if c.allowed && err != nil {
			t.Errorf("%s is refused: %v", name, err)
		}
		if !c.allowed {
			wantError(t, err, name, "has the role "+string(c.roles[0]), "takes client or operator")
			if api.CodeOf(err) != api.Forbidden {
				t.Errorf("the code is %v", api.CodeOf(err))
			}
		}
		if mu.Lock(); seen.Name != name || !slices.Equal(seen.Roles, c.roles) {
			t.Errorf("%s is seen as %+v", name, seen)
		}
		mu.Unlock()
	}
}

// A company's CA may give organizational units of its own: those are no roles.
func TestOtherUnitsAreNoRoles(t *testing.T) {
	dir := authority(t)
	c, err := request("staff", []Role{Client}, nil, year)
	if err != nil {
		t.Fatal(err)
	}
	c.Subject.OrganizationalUnit = []string{"operator", "Accounting", "millrace:cook"}
	f, err := sign(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, open(t, issue(t, dir, "c", Coordinator)).ServerCredentials(), nil, Roles()...)
	wantError(t, call(t, address, open(t, f).ClientCredentials(Coordinator)), "staff", "no role", "millrace:ROLE")
}

func TestClientWantsARole(t *testing.T) {
	dir := authority(t)
	address := serve(t, open(t, issue(t, dir, "w", Worker)).ServerCredentials(), nil, Client)
	client := open(t, issue(t, dir, "me", Client))
	wantError(t, call(t, address, client.ClientCredentials(Coordinator)), `w has the role worker`, "a coordinator is wanted")
	if err := call(t, address, client.ClientCredentials(Coordinator, Worker)); err != nil {
		t.Error(err)
	}
	// A client that poses as a server, with a certificate that can't be one.
	poser := serve(t, open(t, issue(t, dir, "poser", Client)).ServerCredentials(), nil, Client)
	wantError(t, call(t, poser, client.ClientCredentials(Client)), "poser", "key usage")
}

func TestStrangersAreRefusedOnBothSides(t *testing.T) {
	ours, theirs := authority(t), authority(t)
	server := open(t, issue(t, ours, "c", Coordinator))
	log := logged(server)
	address := serve(t, server.ServerCredentials(), nil, Client)

	stranger := issue(t, theirs, "stranger", Client)
	wantError(t, call(t, address, open(t, stranger).ClientCredentials(Coordinator)), `c was signed by`, stranger.CA, "one CA")
	trusting := open(t, stranger)
	trusting.now.cas = server.now.cas // it takes the server, and the server does not take it
	wantError(t, call(t, address, trusting.ClientCredentials(Coordinator)), "tls: bad certificate")
	log.await(t, "connection refused", "the certificate of stranger was signed by")
	nobody := credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	wantError(t, call(t, address, nobody), "certificate required")
	log.await(t, "didn't provide a certificate")
	old := credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	wantError(t, call(t, address, old), "protocol version")
}

func TestPlainAndTLSDoNotMix(t *testing.T) {
	dir := authority(t)
	server := open(t, issue(t, dir, "c", Coordinator))
	log := logged(server)
	secured := serve(t, server.ServerCredentials(), nil, Client)
	wantError(t, call(t, secured, insecure.NewCredentials()), plainHint)
	log.await(t, "it does not use TLS")
	plain := serve(t, insecure.NewCredentials(), nil, Client)
	wantError(t, call(t, plain, open(t, issue(t, dir, "me", Client)).ClientCredentials(Coordinator)), "does not use TLS", "leave out --tls-cert")
	if err := call(t, plain, insecure.NewCredentials()); err != nil {
		t.Errorf("without TLS everybody may call: %v", err)
	}
}

func TestTimesAreChecked(t *testing.T) {
	dir := authority(t)
	address := serve(t, open(t, issue(t, dir, "c", Coordinator)).ServerCredentials(), nil, Client)
	for name, c := range map[string]struct {
		from, to time.Duration
		says     []string
	}{
		"old":   {-2 * time.Hour, -time.Hour, []string{`old expired at`, "issue a new one"}},
		"early": {time.Hour, 2 * time.Hour, []string{`early is not valid before`, "check the clocks"}},
	} {
		f := sealed(t, dir, name, c.from, c.to, Coordinator)
		_, err := Open(f)
		wantError(t, err, append(c.says, f.Cert)...)
		stale := open(t, issue(t, dir, name+" later", Client))
		stale.now.cert = *pair(t, f)
		server := serve(t, stale.ServerCredentials(), nil, Client)
		wantError(t, call(t, server, open(t, issue(t, dir, name+"'s client", Client)).ClientCredentials(Coordinator)), c.says...)
		wantError(t, call(t, address, stale.ClientCredentials(Coordinator)), "tls: bad certificate")
	}
}

func sealed(t *testing.T, dir, name string, from, to time.Duration, roles ...Role) Files {
	t.Helper()
	c, err := request(name, roles, nil, year)
	if err != nil {
		t.Fatal(err)
	}
	c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to)
	f, err := sign(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func pair(t *testing.T, f Files) *tls.Certificate {
	t.Helper()
	p, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

// move replaces a file at once.
func move(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to+".new", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(to+".new", to); err != nil {
		t.Fatal(err)
	}
}

// Files change under a server: connections that stand go on, new ones get the
// new certificate, and while the files do not fit together the old one.
func TestCertificatesRotate(t *testing.T) {
	dir := authority(t)
	f := issue(t, dir, "before", Coordinator)
	next := issue(t, dir, "after", Coordinator)
	server := open(t, f)
	log := logged(server)
	address := serve(t, server.ServerCredentials(), nil, Client)
	client := open(t, issue(t, dir, "me", Client))

	standing := connect(t, address, client.ClientCredentials(Coordinator))
	check := func() error {
		_, err := healthpb.NewHealthClient(standing).Check(t.Context(), &healthpb.HealthCheckRequest{})
		return err
	}
	if err := check(); err != nil {
		t.Fatal(err)
	}
	shows := func() string { return shownBy(t, address, client) }
	if name := shows(); name != "before" {
		t.Errorf("it shows %s at first", name)
	}
	move(t, next.Cert, f.Cert)
	if name := shows(); name != "before" {
		t.Errorf("it shows %s while the key does not fit", name)
	}
	log.await(t, "do not fit together")
	move(t, next.Key, f.Key)
	if name := shows(); name != "after" {
		t.Errorf("it shows %s in the end", name)
	}
	log.await(t, "certificate changed")
	if err := check(); err != nil {
		t.Errorf("the connection that stood: %v", err)
	}
}

// shownBy is the name in the certificate that a server shows now.
func shownBy(t *testing.T, address string, as *Keeper) string {
	t.Helper()
	conn, err := tls.Dial("tcp", address, as.Client(Coordinator))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// A cluster changes its CA: both in the file for a while.
func TestCAsRotate(t *testing.T) {
	before, after := authority(t), authority(t)
	f := issue(t, before, "c", Coordinator)
	address := serve(t, open(t, f).ServerCredentials(), nil, Client)
	newcomer := issue(t, after, "me", Client)
	both := append(read(t, f.CA), read(t, newcomer.CA)...)
	if err := os.WriteFile(newcomer.CA, both, 0o644); err != nil {
		t.Fatal(err)
	}
	client := open(t, newcomer).ClientCredentials(Coordinator)
	if err := call(t, address, client); err == nil {
		t.Error("a stranger is let in")
	}
	move(t, newcomer.CA, f.CA)
	if err := call(t, address, client); err != nil {
		t.Errorf("with both CAs: %v", err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Nobody but the CA can make certificates, a member of the cluster neither.
func TestMembersAreNoAuthorities(t *testing.T) {
	dir := authority(t)
	w := issue(t, dir, "w", Worker)
	forged := filepath.Join(t.TempDir(), "forged")
	if err := os.Mkdir(forged, 0o700); err != nil {
		t.Fatal(err)
	}
	move(t, w.Cert, filepath.Join(forged, caCert))
	move(t, w.Key, filepath.Join(forged, caKey))
	c, err := request("root", []Role{Operator}, nil, year/2)
	if err != nil {
		t.Fatal(err)
	}
	f, err := sign(forged, c)
	if err != nil {
		t.Fatal(err)
	}
	chain := append(read(t, f.Cert), read(t, w.Cert)...)
	if err := os.WriteFile(f.Cert, chain, 0o600); err != nil {
		t.Fatal(err)
	}
	f.CA = w.CA
	if _, err := Open(f); err == nil {
		t.Error("a worker's word is taken for a CA's")
	}
}
