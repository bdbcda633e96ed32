package fleet

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/hashicorp/memberlist"
)

// memberlist tells who came and who went, but not whom it suspects, nor whether
// one who went had said so. All that is in the list that it sends to a member
// that calls. So there is one such caller beside each member: a memberlist that
// has left before it ever came, without a socket, whose calls end at its own
// member. It leaves no trace: nobody takes note that a stranger has left.

// lookFrom is in what memberlist logs about such a call.
const lookFrom = "from=pipe"

// looker reads a member's own list.
type looker struct {
	list *memberlist.Memberlist
	seen []*memberlist.Node
}

var (
	errSeen   = errors.New("seen")
	errUnseen = errors.New("no answer")
)

// newLooker makes a looker at the member behind to, whose keys it shares.
func newLooker(to *transport, keys *memberlist.Keyring) (*looker, error) {
	l := &looker{}
	c := memberlist.DefaultLANConfig()
	c.Name = "looker"
	c.Label = label
	c.Transport = &pipe{to: to}
	c.Keyring = keys
	c.Merge = l
	c.EnableCompression = false
	c.ProbeInterval, c.GossipInterval, c.PushPullInterval = 0, 0, 0
	c.Logger = log.New(io.Discard, "", 0) // its calls all end in the error seen
	list, err := memberlist.Create(c)
	if err != nil {
		return nil, err
	}
	l.list = list
	return l, list.Leave(0)
}

// look is the list as it is now.
func (l *looker) look() ([]*memberlist.Node, error) {
	l.seen = nil
	_, err := l.list.Join([]string{"127.0.0.1:1"}) // wherever: a pipe has one end
	if l.seen != nil {
		return l.seen, nil
	}
	return nil, fmt.Errorf("look at gossip's own list: %w", errors.Join(errUnseen, err))
}

// NotifyMerge takes the list, and keeps it from being merged.
func (l *looker) NotifyMerge(nodes []*memberlist.Node) error {
	l.seen = nodes
	return errSeen
}

func (l *looker) close() { l.list.Shutdown() } //nolint:errcheck // it has nothing to close

// pipe is a transport that reaches one member, inside the process.
type pipe struct{ to *transport }

// FinalAdvertiseAddr is never told to anybody.
func (p *pipe) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return net.IPv4(127, 0, 0, 1), 1, nil
}

// WriteTo drops a packet.
func (p *pipe) WriteTo([]byte, string) (time.Time, error) { return time.Now(), nil }

// WriteToAddress drops a packet.
func (p *pipe) WriteToAddress([]byte, memberlist.Address) (time.Time, error) {
	return time.Now(), nil
}

// PacketCh never has a packet.
func (p *pipe) PacketCh() <-chan *memberlist.Packet { return nil }

// StreamCh never has a call.
func (p *pipe) StreamCh() <-chan net.Conn { return nil }

// DialTimeout calls the member.
func (p *pipe) DialTimeout(string, time.Duration) (net.Conn, error) {
	here, there := net.Pipe()
	go p.to.IngestStream(there) //nolint:errcheck // it has none
	return here, nil
}

// DialAddressTimeout calls the member.
func (p *pipe) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return p.DialTimeout(a.Addr, timeout)
}

// Shutdown has nothing to close.
func (p *pipe) Shutdown() error { return nil }
