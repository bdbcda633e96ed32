package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
)

// patience is how long a test waits for what must happen some time.
const patience = 30 * time.Second

// node is a member in a test.
type node struct {
	*Gossip
	t       *testing.T
	changes chan Member
	stop    func()
}

// start starts a member on a free port of loopback, unless change says
// otherwise; it ends with the test.
func start(t *testing.T, name string, change func(*Config)) *node {
	t.Helper()
	c := Config{Name: name, Incarnation: 1, Role: Worker, Bind: "127.0.0.1:0", Version: "test", Logger: testLog(t, nil).With("at", name)}
	if change != nil {
		change(&c)
	}
	g, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Gossip: g, t: t, changes: make(chan Member, 10000)}
	n.Watch(func(m Member) { n.changes <- m })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	t.Cleanup(n.stop)
	return n
}

func join(addresses ...string) func(*Config) {
	return func(c *Config) { c.Join = addresses }
}

// await waits for a change that is wanted, and gives it.
func (n *node) await(what string, want func(Member) bool) Member {
	n.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		select {
		case m := <-n.changes:
			if want(m) {
				return m
			}
		case <-deadline.C:
			n.t.Fatalf("%s never heard that %s; it knows %v", n.config.Name, what, n.Members())
		}
	}
}

func (n *node) awaitOpinion(name string, o Opinion) Member {
	n.t.Helper()
	return n.await(fmt.Sprintf("%s is %v", name, o), func(m Member) bool { return m.Name == name && m.Opinion == o })
}

// logged collects log lines.
type logged struct {
	mu    sync.Mutex
	lines []string
	news  chan struct{}
}

func newLogged() *logged { return &logged{news: make(chan struct{}, 1)} }

// Write takes a line.
func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(b))
	knock(l.news)
	return len(b), nil
}

func (l *logged) await(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		l.mu.Lock()
		found := slices.ContainsFunc(l.lines, func(line string) bool { return strings.Contains(line, text) })
		l.mu.Unlock()
		if found {
			return
		}
		select {
		case <-l.news:
		case <-deadline:
			t.Fatalf("nothing logged has %q in it; the log:\n%s", text, strings.Join(l.lines, ""))
		}
	}
}

func testLog(t *testing.T, also *logged) *slog.Logger {
	if also != nil {
		return slog.New(slog.NewTextHandler(also, nil))
	}
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("test", t.Name())
	}
	return slog.New(slog.DiscardHandler)
}

func TestMembersFindEachOther(t *testing.T) {
	t.Parallel()
	c := start(t, "c", func(c *Config) {
		c.Role, c.Addresses, c.Zone, c.Version = Coordinator, []string{"127.0.0.1:7070", "[::1]:7070"}, "rack 1", "v9"
	})
	a := start(t, "a", func(cfg *Config) { cfg.Join, cfg.Slots, cfg.Incarnation = []string{c.Addr()}, 7, 42 })
	b := start(t, "b", join(c.Addr()))

	got := a.awaitOpinion("c", Alive)
	want := Member{
		Name: "c", Incarnation: 1, Role: Coordinator, Addresses: []string{"127.0.0.1:7070", "[::1]:7070"},
		Gossip: c.Addr(), Zone: "rack 1", Version: "v9", Opinion: Alive,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("a knows c as %+v, want %+v", got, want)
	}
	if m := b.awaitOpinion("a", Alive); m.Slots != 7 || m.Incarnation != 42 {
		t.Errorf("b, which never called a, knows it as %+v", m)
	}
	c.awaitOpinion("b", Alive)
	if names := fmt.Sprint(memberNames(b.Members())); names != "[a c]" {
		t.Errorf("b's members are %s", names)
	}
}

func memberNames(members []Member) (names []string) {
	for _, m := range members {
		names = append(names, m.Name)
	}
	return names
}

func TestLateWatcherHearsOfAllThatAreKnown(t *testing.T) {
	t.Parallel()
	c := start(t, "c", nil)
	a := start(t, "a", join(c.Addr()))
	a.awaitOpinion("c", Alive)
	var heard []Member
	a.Watch(func(m Member) { heard = append(heard, m) })
	if len(heard) != 1 || heard[0].Name != "c" {
		t.Errorf("at once it hears of %v", heard)
	}
}

// A crashed member is suspected before it is buried, and one that leaves is
// neither. Its successor on another port is no conflict, and hears of it.
func TestCrashAndLeaveAreTold(t *testing.T) {
	t.Parallel()
	c := start(t, "c", nil)
	a := start(t, "a", join(c.Addr()))
	b := start(t, "b", join(c.Addr()))
	c.awaitOpinion("a", Alive)
	b.awaitOpinion("a", Alive)

	a.stop()
	c.awaitOpinion("a", Suspect)
	c.awaitOpinion("a", Dead)
	b.awaitOpinion("a", Dead)

	again := start(t, "a", func(cfg *Config) { cfg.Join, cfg.Incarnation = []string{c.Addr()}, 2 })
	if m := c.awaitOpinion("a", Alive); m.Incarnation != 2 || m.Gossip != again.Addr() {
		t.Errorf("the restarted member is %+v", m)
	}
	again.awaitOpinion("b", Alive)
	b.await("a is back", func(m Member) bool { return m.Name == "a" && m.Incarnation == 2 })
	if err := again.Leave(patience); err != nil {
		t.Error(err)
	}
	m := c.await("a ends", func(m Member) bool { return m.Name == "a" && m.Incarnation == 2 && m.Opinion != Alive })
	if m.Opinion != Left {
		t.Errorf("one that left is %v", m.Opinion)
	}
	b.await("a left", func(m Member) bool { return m.Name == "a" && m.Incarnation == 2 && m.Opinion == Left })
	if err := again.Leave(0); err != nil {
		t.Errorf("leaving twice: %v", err)
	}
}

// A member whose coordinator starts later, elsewhere or again finds it by name.
func TestNamesAreResolvedAgainAndAgain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var now []netip.Addr
	asked := make(chan struct{}, 1)
	resolve := func(_ context.Context, host string) ([]netip.Addr, error) {
		mu.Lock()
		defer mu.Unlock()
		knock(asked)
		if host != "fleet.example" || len(now) == 0 {
			return nil, errors.New("no such host")
		}
		return slices.Clone(now), nil
	}
	point := func(addresses ...string) {
		mu.Lock()
		defer mu.Unlock()
		now = nil
		for _, a := range addresses {
			now = append(now, netip.MustParseAddr(a))
		}
	}
	first := start(t, "c1", func(c *Config) { c.Bind = "127.0.0.1:0" })
	_, port, _ := net.SplitHostPort(first.Addr())
	second := start(t, "c2", func(c *Config) { c.Bind = "127.0.0.2:" + port })

	a := start(t, "a", func(c *Config) { c.Join, c.Resolve = []string{"fleet.example:" + port}, resolve })
	for range 3 { // while there is no such name
		<-asked
	}
	point("127.0.0.1", "127.0.0.2")
	a.await("both are there", func(Member) bool { return len(a.Members()) == 2 })
	first.stop()
	second.stop()
	a.awaitOpinion("c2", Dead)

	third := start(t, "c3", func(c *Config) { c.Bind = "127.0.0.3:" + port })
	point("127.0.0.3")
	a.awaitOpinion("c3", Alive)
	third.awaitOpinion("a", Alive)
}

// The fleet falls apart when everybody buries everybody, and grows together
// again by the members to begin with.
func TestPausedMemberComesBack(t *testing.T) {
	t.Parallel()
	c := start(t, "c", nil)
	a := start(t, "a", join(c.Addr()))
	c.awaitOpinion("a", Alive)
	addr := c.Addr()
	c.stop()
	a.awaitOpinion("c", Dead)
	again := start(t, "c", func(cfg *Config) { cfg.Bind, cfg.Incarnation = addr, 2 })
	if m := a.awaitOpinion("c", Alive); m.Incarnation != 2 {
		t.Errorf("who came back is %+v", m)
	}
	again.awaitOpinion("a", Alive)
}

// Who can't be reached is said in a line, and once.
func TestUnreachableMemberIsSaid(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	log := newLogged()
	a := start(t, "a", func(c *Config) { c.Join, c.Logger = []string{nobody, "127.0.0.1:1"}, testLog(t, log) })
	log.await(t, "cannot join")
	log.await(t, "127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused")
	a.stop()
	log.mu.Lock()
	defer log.mu.Unlock()
	if len(log.lines) != 2 {
		t.Errorf("said in %d lines: %q", len(log.lines), log.lines)
	}
}

// A member that is told the port of something else hears that.
func TestWrongPortIsSaid(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	t.Cleanup(server.Stop)
	go server.Serve(l) //nolint:errcheck // it ends with the test
	log := newLogged()
	start(t, "a", func(c *Config) { c.Join, c.Logger = []string{l.Addr().String()}, testLog(t, log) })
	log.await(t, "is it a coordinator's --gossip address")
}

func writeKeys(t *testing.T, file string, keys ...string) {
	t.Helper()
	aside := file + ".new"
	if err := os.WriteFile(aside, []byte("# keys\n"+strings.Join(keys, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(aside, file); err != nil {
		t.Fatal(err)
	}
}

// Keys change on two members one after the other while they gossip; neither is
// ever suspected, and one who comes with the new key alone is let in, one with
// the old key is not.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	old, next := NewKey(), NewKey()
	logs := []*logged{newLogged(), newLogged()}
	for _, f := range files {
		writeKeys(t, f, old)
	}
	a := start(t, "a", func(c *Config) { c.KeyFile, c.Logger = files[0], testLog(t, logs[0]) })
	b := start(t, "b", func(c *Config) { c.KeyFile, c.Logger, c.Join = files[1], testLog(t, logs[1]), []string{a.Addr()} })
	b.awaitOpinion("a", Alive)
	a.awaitOpinion("b", Alive)
	rotated := func(step string, keys ...string) {
		t.Helper()
		for i, f := range files {
			logs[i].clear()
			writeKeys(t, f, keys...)
			logs[i].await(t, "gossip keys changed")
		}
	}
	rotated("both", old, next)
	rotated("new first", next, old)
	rotated("new only", next)

	fresh := filepath.Join(dir, "fresh")
	writeKeys(t, fresh, next)
	start(t, "fresh", func(c *Config) { c.KeyFile, c.Join = fresh, []string{b.Addr()} })
	a.await("fresh is alive", func(m Member) bool {
		if m.Opinion != Alive {
			t.Errorf("%s is %v", m.Name, m.Opinion)
		}
		return m.Name == "fresh"
	})
	stale := filepath.Join(dir, "stale")
	writeKeys(t, stale, old)
	log := newLogged()
	start(t, "stale", func(c *Config) { c.KeyFile, c.Join, c.Logger = stale, []string{b.Addr()}, testLog(t, log) })
	log.await(t, "give both the same file")
	if len(a.Members()) != 2 {
		t.Errorf("a knows %v", a.Members())
	}
}

func (l *logged) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = nil
}

// A wrong key, and a key on one side only, are said on both sides.
func TestWrongKeysAreSaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	right, wrong := filepath.Join(dir, "right"), filepath.Join(dir, "wrong")
	writeKeys(t, right, NewKey())
	writeKeys(t, wrong, NewKey())
	for name, files := range map[string][2]string{
		"two keys":           {right, wrong},
		"the caller has one": {"", right},
		"the called has one": {right, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			called, caller := newLogged(), newLogged()
			c := start(t, "c", func(c *Config) { c.KeyFile, c.Logger = files[0], testLog(t, called) })
			start(t, "a", func(cfg *Config) {
				cfg.KeyFile, cfg.Logger, cfg.Join = files[1], testLog(t, caller), []string{c.Addr()}
			})
			called.await(t, "gossip refused")
			caller.await(t, "gossip refused")
			if m := c.Members(); len(m) != 0 {
				t.Errorf("it was let in: %v", m)
			}
		})
	}
}

func TestBrokenKeyFileChangesNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys")
	writeKeys(t, file, NewKey())
	log := newLogged()
	a := start(t, "a", func(c *Config) { c.KeyFile, c.Logger = file, testLog(t, log) })
	writeKeys(t, file, "not a key!")
	log.await(t, "gossip keys not changed")
	start(t, "b", func(c *Config) { c.Join = []string{a.Addr()} })
	log.await(t, "gossip refused") // it still has a key
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skipf("no IPv6 on loopback: %v", err)
	} else {
		l.Close()
	}
	c := start(t, "c", func(c *Config) { c.Bind = "[::1]:0" })
	a := start(t, "a", func(cfg *Config) { cfg.Bind, cfg.Join = "[::]:0", []string{c.Addr()} })
	m := c.awaitOpinion("a", Alive)
	if host, _, _ := net.SplitHostPort(m.Gossip); host != "::1" {
		t.Errorf("a, which is reached from ::1, is at %s", m.Gossip)
	}
	a.awaitOpinion("c", Alive)
}

// What is advertised is what others are told, whatever is listened on.
func TestAdvertisedAddressIsTold(t *testing.T) {
	t.Parallel()
	c := start(t, "c", nil)
	a := start(t, "a", func(cfg *Config) {
		cfg.Bind, cfg.Advertise, cfg.Join = "0.0.0.0:0", "127.0.0.7", []string{c.Addr()}
	})
	_, port, _ := net.SplitHostPort(a.Addr())
	if m := c.awaitOpinion("a", Alive); m.Gossip != "127.0.0.7:"+port || a.Addr() != m.Gossip {
		t.Errorf("a is at %s and says %s", m.Gossip, a.Addr())
	}
}

func TestStartSaysAllThatIsWrong(t *testing.T) {
	_, err := Start(t.Context(), Config{Role: "cook", Bind: "127.0.0.1:0", Slots: -1, Join: []string{"here", ":7", "a:0"}})
	if err == nil {
		t.Fatal("it started")
	}
	for _, want := range []string{"the name", `the role "cook"`, "-1 slots", `"here" is not HOST:PORT`, `":7"`, `"a:0"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	for want, c := range map[string]Config{
		"not HOST:PORT":      {Bind: "nowhere"},
		"profile":            {Bind: "127.0.0.1:0", Profile: "moon"},
		"line 2: a key of 3": {Bind: "127.0.0.1:0", KeyFile: badKeys(t)},
		"no such file":       {Bind: "127.0.0.1:0", KeyFile: "/nowhere"},
		"512 bytes":          {Bind: "127.0.0.1:0", Zone: strings.Repeat("z", 600)},
		"no host":            {Bind: "127.0.0.1:0", Advertise: ":7"},
		"gossip on":          {Bind: "192.0.2.1:7"},
	} {
		c.Name, c.Role, c.Logger = "a", Worker, testLog(t, nil)
		if _, err := Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got: %v", want, err)
		}
	}
}

func badKeys(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "keys")
	writeKeys(t, file, "YWJj")
	return file
}
