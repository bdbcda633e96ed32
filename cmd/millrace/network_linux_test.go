package main_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// network is hosts, each a network namespace with an eth0, and this process
// between them: it carries their packets, late or not at all where a test says
// so.
type network struct {
	*world
	prefix string
	hasSix bool

	mu    sync.Mutex
	hosts map[string]*host
	at    map[netip.Addr]*host
	apart map[[2]string]bool // hosts between which nothing passes
	draw  *rand.Rand
}

// host is a host, as seen from the middle of the network.
type host struct {
	name     string
	tun      *os.File
	from, to fault       // of its cable
	arrive   chan packet // to it
}

// packet is one on its way.
type packet struct {
	data []byte
	due  time.Time
}

// fault is what is wrong with a cable in one direction.
type fault struct {
	loss  float64 // the share of packets that are lost
	delay time.Duration
}

// way is a direction on a host's cable.
type way int

const (
	from way = 1 << iota // what the host sends
	to                   // what is sent to it
)

// The addresses: those near each other are numbered in one network, a host that
// is behind a router has one of its own.
const (
	nearNet = "10.77.0."
	nearSix = "fd00:77::"
	// onTheWay is how many packets to one host may be on their way.
	onTheWay = 4096
	// networkSeed decides which packets are lost.
	networkSeed = 7
)

var networks atomic.Int32

// newNetwork makes one without hosts, or skips the test where it may not.
func newNetwork(w *world) *network {
	w.Helper()
	if os.Getuid() != 0 {
		w.Skip("SKIPPED: network namespaces need root; run this test as root to see a fleet over a broken network")
	}
	n := &network{
		world: w, prefix: fmt.Sprintf("millrace-%d-%d-", os.Getpid(), networks.Add(1)),
		hosts: map[string]*host{}, at: map[netip.Addr]*host{}, apart: map[[2]string]bool{}, draw: rand.New(rand.NewPCG(networkSeed, networkSeed)),
	}
	if err := n.probe(); err != nil {
		w.Skipf("SKIPPED: no network can be made here: %v", err)
	}
	return n
}

// probe sees whether there are namespaces, devices to stand between them, and
// IPv6.
func (n *network) probe() error {
	name := n.prefix + "probe"
	if err := try("ip", "netns", "add", name); err != nil {
		return err
	}
	defer try("ip", "netns", "delete", name)
	tun, err := openTUN(name)
	if err != nil {
		return err
	}
	n.hasSix = try("ip", "-n", name, "address", "add", nearSix+"1/64", "dev", "eth0") == nil
	return tun.Close()
}

// try runs a tool.
func try(args ...string) error {
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// openTUN makes the device eth0 of a namespace, of which this process is the
// cable.
func openTUN(namespace string) (tun *os.File, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		tun, err = openTUNHere("/run/netns/" + namespace)
	}()
	<-done
	return tun, err
}

// openTUNHere moves the calling thread into a namespace, and makes the device.
func openTUNHere(namespace string) (*os.File, error) {
	ns, err := os.Open(namespace)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("enter %s: %w", namespace, err)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq("eth0")
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a network device: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "tun"), nil
}

// host adds a host beside the others, and gives its address.
func (n *network) host(name string) string {
	n.Helper()
	number := len(n.hosts) + 1
	address := fmt.Sprint(nearNet, number)
	n.add(name, address)
	if n.hasSix {
		n.number(name, n.six(name), "64")
	}
	return address
}

// six is the IPv6 address of a host that is near; none where there is no IPv6.
func (n *network) six(name string) string {
	for a, h := range n.at {
		if h.name == name && a.Is4() && n.hasSix {
			return fmt.Sprint(nearSix, a.As4()[3])
		}
	}
	return ""
}

// behind adds a host in a network of its own, and gives its address.
func (n *network) behind(name string) string {
	n.Helper()
	address := fmt.Sprintf("10.%d.0.1", 78+len(n.hosts))
	n.add(name, address)
	return address
}

func (n *network) add(name, address string) {
	n.Helper()
	namespace := n.prefix + name
	n.do("ip", "netns", "add", namespace)
	tun, err := openTUN(namespace)
	if err != nil {
		n.Fatal(err)
	}
	h := &host{name: name, tun: tun, arrive: make(chan packet, onTheWay)}
	n.mu.Lock()
	n.hosts[name] = h
	n.mu.Unlock()
	n.number(name, address, "24")
	n.do("ip", "-n", namespace, "link", "set", "lo", "up")
	n.do("ip", "-n", namespace, "link", "set", "eth0", "up")
	n.do("ip", "-n", namespace, "route", "add", "default", "dev", "eth0")
	over := make(chan struct{})
	var carrying sync.WaitGroup
	carrying.Go(func() { n.carry(h) })
	carrying.Go(func() { h.deliver(over) })
	n.Cleanup(func() {
		close(over)
		tun.Close()
		carrying.Wait()
		n.do("ip", "netns", "delete", namespace)
	})
}

func (n *network) do(args ...string) {
	n.Helper()
	if err := try(args...); err != nil {
		n.Fatal(err)
	}
}

// number gives a host an address.
func (n *network) number(name, address, bits string) {
	n.Helper()
	args := []string{"ip", "-n", n.prefix + name, "address", "add", address + "/" + bits, "dev", "eth0"}
	a := netip.MustParseAddr(address)
	if a.Is6() {
		args = append(args, "nodad")
	}
	n.do(args...)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.at[a] = n.hosts[name]
}

// spoil makes a host's cable as bad as that from now on.
func (n *network) spoil(name string, w way, f fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[name]
	if w&from != 0 {
		h.from = f
	}
	if w&to != 0 {
		h.to = f
	}
}

// part lets nothing pass between two hosts from now on.
func (n *network) part(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.apart[[2]string{a, b}], n.apart[[2]string{b, a}] = true, true
}

// carry takes what a host sends to whom it is for.
func (n *network) carry(h *host) {
	buffer := make([]byte, 1<<16)
	for {
		size, err := h.tun.Read(buffer)
		if err != nil {
			return
		}
		data := append([]byte(nil), buffer[:size]...)
		if there, delay := n.route(h, data); there != nil {
			select {
			case there.arrive <- packet{data, time.Now().Add(delay)}:
			default: // too many on the way
			}
		}
	}
}

// route says whom a packet is for and how long it takes; nobody if it is lost.
func (n *network) route(h *host, data []byte) (*host, time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	there := n.at[destination(data)]
	if there == nil || n.apart[[2]string{h.name, there.name}] || n.draw.Float64() < h.from.loss || n.draw.Float64() < there.to.loss {
		return nil, 0
	}
	return there, h.from.delay + there.to.delay
}

// destination is where an IP packet goes.
func destination(data []byte) (a netip.Addr) {
	switch {
	case len(data) >= 20 && data[0]>>4 == 4:
		a, _ = netip.AddrFromSlice(data[16:20])
	case len(data) >= 40 && data[0]>>4 == 6:
		a, _ = netip.AddrFromSlice(data[24:40])
	}
	return a
}

// deliver gives a host its packets when they are due, in their order.
func (h *host) deliver(over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case p := <-h.arrive:
			if wait := time.Until(p.due); wait > 0 {
				select {
				case <-over:
					return
				case <-time.After(wait):
				}
			}
			h.tun.Write(p.data) // which may be down already
		}
	}
}

// on is a program that runs a program on a host, as the same process.
func (n *network) on(host, program string) string {
	n.Helper()
	path := filepath.Join(n.path("on"), host)
	text := fmt.Sprintf("#!/bin/sh\nexec ip netns exec %s%s %s \"$@\"\n", n.prefix, host, program)
	syscall.ForkLock.RLock() // a child of another test that has it open for writing would make it busy
	defer syscall.ForkLock.RUnlock()
	if err := errors.Join(os.MkdirAll(n.path("on"), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
		n.Fatal(err)
	}
	return path
}
