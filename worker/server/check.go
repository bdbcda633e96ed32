package server

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/worker/agent"
)

// What a worker needs at the least, and how long what it says of itself may be.
const (
	// minMemory is what no batch could do without, in bytes.
	minMemory = 16 << 20
	// minSpool is what no output of any size could do without, in bytes.
	minSpool = 64 << 10
	// maxZone is how long the zone may be, in bytes.
	maxZone = 63
)

// check tells all that is wrong with what was given.
func (c Config) check() error {
	limits := agent.Config{Name: c.Name, Slots: c.Slots, MemoryBytes: c.MemoryBytes, SpoolBytes: c.SpoolBytes, DrainWithin: c.DrainWithin}
	return errors.Join(c.checkJoin(), c.checkAddresses(), c.checkName(), c.checkLabels(), limits.Check(), c.checkRoom())
}

// checkJoin looks at the addresses of members: without one of them a worker is
// alone for ever.
func (c Config) checkJoin() error {
	if len(c.Join) == 0 {
		return errors.New("a worker needs the address of a member of the fleet to join, HOST:PORT of a coordinator's gossip for instance (--join)")
	}
	var faults []error
	for _, member := range c.Join {
		host, port, err := net.SplitHostPort(member)
		n, bad := strconv.ParseUint(port, 10, 16)
		if err != nil || host == "" || bad != nil || n == 0 {
			faults = append(faults, fmt.Errorf("the member to join %q: it must be HOST:PORT, an IPv6 address in brackets, the port from 1 to 65535 (--join)", member))
		}
	}
	return errors.Join(faults...)
}

func (c Config) checkAddresses() error {
	var faults []error
	for _, at := range []struct{ flag, address string }{{"listen", c.Listen}, {"gossip", c.Gossip}} {
		_, port, err := net.SplitHostPort(at.address)
		if _, bad := strconv.ParseUint(port, 10, 16); at.address != "" && (err != nil || bad != nil) {
			faults = append(faults, fmt.Errorf("%s on %q: it must be HOST:PORT, an IPv6 address in brackets, the port up to 65535 (--%s)", at.flag, at.address, at.flag))
		}
	}
	return errors.Join(faults...)
}

func (c Config) checkName() error {
	if !utf8.ValidString(c.Name) || strings.ContainsFunc(c.Name, unfit) {
		return fmt.Errorf("the worker's name %q: it must be UTF-8, without a slash, a blank or what can't be printed (--name)", c.Name)
	}
	return nil
}

// unfit says whether a letter may not be part of a worker's name: names go into
// file names, addresses and logs.
func unfit(r rune) bool { return r == '/' || unicode.IsSpace(r) || !unicode.IsPrint(r) }

// checkLabels looks at what a coordinator would refuse.
func (c Config) checkLabels() error {
	var faults []error
	if len(c.Labels) > api.MaxLabels {
		faults = append(faults, fmt.Errorf("%d labels: a worker has at most %d (--label)", len(c.Labels), api.MaxLabels))
	}
	for name, value := range c.Labels {
		if name == "" || max(len(name), len(value)) > api.MaxLabelBytes || !utf8.ValidString(name+value) {
			faults = append(faults, fmt.Errorf("the label %.140q: its name has 1 to %d bytes, its value at most as many, in UTF-8 (--label)", name+"="+value, api.MaxLabelBytes))
		}
	}
	if len(c.Zone) > maxZone || !utf8.ValidString(c.Zone) {
		faults = append(faults, fmt.Errorf("the zone %.80q: it has at most %d bytes, in UTF-8 (--zone)", c.Zone, maxZone))
	}
	return errors.Join(faults...)
}

// checkRoom looks whether there is room for any batch at all.
func (c Config) checkRoom() error {
	var faults []error
	if c.MemoryBytes > 0 && c.MemoryBytes < minMemory {
		faults = append(faults, fmt.Errorf("%d bytes of memory for batches: a worker needs %d at the least (--max-memory)", c.MemoryBytes, minMemory))
	}
	if c.SpoolBytes > 0 && c.SpoolBytes < minSpool {
		faults = append(faults, fmt.Errorf("%d bytes for outputs: a worker needs %d at the least (--spool-bytes)", c.SpoolBytes, minSpool))
	}
	return errors.Join(faults...)
}
