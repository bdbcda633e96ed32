// Package fleet lets coordinators and workers find each other by gossip
// (hashicorp/memberlist), and keeps an opinion of who lives. What is decided here
// is how members find each other, which address is told, how soon a silent
// member is doubted and buried, and which keys count. What an opinion is good
// for is not decided here: gossip is one of two witnesses (see
// docs/adr/0008-two-witnesses.md), and takes nothing away by itself.
//
// # Keys
//
// A key file has one key a line, in base64 or hex, of 16, 24 or 32 bytes; lines
// that start with # and empty ones are passed over. The first key is sent with,
// all are received with. The file is read again when it changes, so keys rotate
// without a restart, in three steps, each done on every member before the next:
// add the new key as the second line; move it to the first; remove the old one.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// label is in every packet, so that others who use memberlist are not taken
	// for members.
	label = "millrace/1"
	// keysEvery is how often the key file is looked at.
	keysEvery = time.Second
)

// Gossip is this process's membership in the fleet.
type Gossip struct {
	config  Config
	profile profile
	list    *memberlist.Memberlist
	looker  *looker
	table   *table
	keys    *keyFile // nil without keys
	trouble *trouble
	log     *slog.Logger
	own     []netip.AddrPort // where this member is reached, by all accounts
	news    chan struct{}    // somebody came or went
	ended   chan struct{}    // somebody went
	hangUp  context.CancelFunc
	done    chan struct{} // closed with the membership

	life   sync.Mutex // held while the list is looked at, left or closed
	closed bool
}

// Start binds, so that Addr is known. Nobody is called before Run.
func Start(ctx context.Context, c Config) (*Gossip, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	meta, err := encodeMeta(c.member())
	if err != nil {
		return nil, err
	}
	g := &Gossip{
		config: c, log: c.Logger, trouble: &trouble{},
		news: make(chan struct{}, 1), ended: make(chan struct{}, 1), done: make(chan struct{}),
		table: &table{self: gossipName(c.Name, c.Incarnation), log: c.Logger},
	}
	if c.KeyFile != "" {
		if g.keys, err = openKeys(c.KeyFile, g.log); err != nil {
			return nil, err
		}
	}
	if err := g.start(ctx, meta); err != nil {
		return nil, err
	}
	return g, nil
}

// start binds and begins to answer.
func (g *Gossip) start(ctx context.Context, meta []byte) error {
	place, err := g.config.place(ctx)
	if err != nil {
		return err
	}
	if g.profile, err = profileOf(g.config.Profile, place.advertised.AsSlice()); err != nil {
		return err
	}
	logger := newLibraryLog(g.log, g.trouble)
	calls, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	g.hangUp = hangUp
	t, port, err := listen(calls, place.bind, place.bindPort, logger)
	if err != nil {
		hangUp()
		return err
	}
	place.bindPort = port
	if place.advertisedPort == 0 {
		place.advertisedPort = port
	}
	g.own = []netip.AddrPort{
		netip.AddrPortFrom(place.advertised, place.advertisedPort), netip.AddrPortFrom(place.bind, port),
	}
	if err := g.create(t, place, meta); err != nil {
		hangUp()
		t.Shutdown() //nolint:errcheck // it has none
		return err
	}
	return nil
}

func (g *Gossip) create(t *transport, p place, meta []byte) (err error) {
	c := *g.profile.base
	c.Name = g.table.self
	c.Label = label
	c.Transport = t
	c.BindPort = int(p.bindPort)
	c.AdvertiseAddr, c.AdvertisePort = p.advertised.String(), int(p.advertisedPort)
	c.EnableCompression = false // it costs more than it saves on packets this small
	c.Delegate = description(meta)
	c.Events = events{g}
	c.Logger = newLibraryLog(g.log, g.trouble)
	if g.keys != nil {
		c.Keyring = g.keys.ring
	}
	if g.list, err = memberlist.Create(&c); err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	if g.looker, err = newLooker(t, c.Keyring); err != nil {
		g.list.Shutdown() //nolint:errcheck // the other error counts
		return fmt.Errorf("gossip: %w", err)
	}
	return nil
}

// Run joins, again and again, re-reads the keys when their file changes, and
// tells watchers of changes. It returns when ctx is done or after Leave, when
// all that was started has ended. A member that is to leave calls Leave before
// it ends ctx: to the others, one whose ctx ended is dead.
func (g *Gossip) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, g.hangUp)() // calls end with ctx, not 3 s later
	var joining sync.WaitGroup
	joining.Go(func() { g.joiner().run(ctx, g.ended) })
	g.watchList(ctx)
	cancel()
	joining.Wait()
	return g.close()
}

// watchList looks at the list when somebody came or went, and now and then, to
// see who is suspected, until ctx is done or the membership ends.
func (g *Gossip) watchList(ctx context.Context) {
	keys, look := time.NewTicker(keysEvery), time.NewTimer(g.lookEvery())
	defer keys.Stop()
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.done:
			return
		case <-keys.C:
			if g.keys != nil {
				g.keys.refresh()
			}
			continue
		case <-g.news:
		case <-look.C:
		}
		g.look()
		look.Reset(g.lookEvery())
	}
}

// lookEvery is how often the list is looked at without a reason: often enough
// to see a suspicion before it ends, and as it, slower in a large fleet.
func (g *Gossip) lookEvery() time.Duration {
	scale := max(1, math.Log10(float64(g.list.NumMembers())))
	return time.Duration(scale * float64(g.profile.base.ProbeInterval))
}

// look brings the table up to the list.
func (g *Gossip) look() {
	g.life.Lock()
	defer g.life.Unlock()
	if g.closed {
		return
	}
	nodes, err := g.looker.look()
	if err != nil {
		g.trouble.say(g.log, "gossip's list not read", "error", err.Error())
		return
	}
	if g.table.update(nodes) {
		knock(g.ended)
	}
}

func (g *Gossip) joiner() *joiner {
	targets, _ := targetsOf(g.config.Join) // checked at the start
	return &joiner{
		role: g.config.Role, targets: targets, resolve: g.config.Resolve, profile: g.profile, table: g.table,
		trouble: g.trouble, log: g.log, answered: make(map[netip.AddrPort]time.Time),
		call: g.call,
		self: func(a netip.AddrPort) bool { return slices.Contains(g.own, a) },
	}
}

// call exchanges lists with the member at a.
func (g *Gossip) call(a netip.AddrPort) error {
	if _, err := g.list.Join([]string{a.String()}); err != nil {
		if one := errors.Unwrap(err); one != nil {
			return one // of one call, without the library's heading for many
		}
		return err
	}
	g.look() // before the joiner asks who is here
	return nil
}

// Members are all others that gossip knows, by name and incarnation; the dead
// and the left for some time too.
func (g *Gossip) Members() []Member { return g.table.list() }

// Watch has f called for every change, one call at a time, and at once for all
// members that are known. A member that gossip forgets, some time after its
// end, is told as Unknown. f must not block, and must call nothing of g.
func (g *Gossip) Watch(f func(Member)) { g.table.watch(f) }

// Addr is where others reach this member's gossip, "host:port".
func (g *Gossip) Addr() string { return g.own[0].String() }

// Leave tells the others that this member leaves on purpose, waits until that
// was sent, but no longer than within, and ends Run.
func (g *Gossip) Leave(within time.Duration) error {
	g.life.Lock()
	if g.closed {
		g.life.Unlock()
		return nil
	}
	err := g.list.Leave(within)
	g.life.Unlock()
	if err != nil {
		err = fmt.Errorf("leave the fleet: nobody heard it within %v", within)
	}
	return errors.Join(err, g.close())
}

// close ends the membership without a word to others.
func (g *Gossip) close() error {
	g.life.Lock()
	defer g.life.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	g.hangUp()
	g.looker.close()
	err := g.list.Shutdown()
	close(g.done)
	return err
}

// description is what a member says of itself, as memberlist asks for it.
type description []byte

// NodeMeta is the description.
func (d description) NodeMeta(int) []byte { return d }

// NotifyMsg drops a message: there are none.
func (d description) NotifyMsg([]byte) {}

// GetBroadcasts has nothing to say.
func (d description) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState has nothing to add to a list.
func (d description) LocalState(bool) []byte { return nil }

// MergeRemoteState drops what others add.
func (d description) MergeRemoteState([]byte, bool) {}

// events hears from memberlist, which holds its lock meanwhile: it only knocks.
type events struct{ g *Gossip }

// NotifyJoin knocks.
func (e events) NotifyJoin(*memberlist.Node) { knock(e.g.news) }

// NotifyLeave knocks.
func (e events) NotifyLeave(*memberlist.Node) { knock(e.g.news) }

// NotifyUpdate knocks.
func (e events) NotifyUpdate(*memberlist.Node) { knock(e.g.news) }

func knock(door chan struct{}) {
	select {
	case door <- struct{}{}:
	default:
	}
}
