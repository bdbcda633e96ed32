package fleet

import (
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/memberlist"
)

// profile is how fast a member gossips, and how soon it doubts and buries.
type profile struct {
	base *memberlist.Config
	// retry is the longest pause between two tries to reach a member that must
	// be there.
	retry time.Duration
	// again is how often names are resolved anew and members to begin with that
	// are not in the fleet are called, so that a fleet that fell apart grows
	// together.
	again time.Duration
}

// profileOf is the profile of that name; the one for an address when it has
// none.
func profileOf(name string, advertised net.IP) (profile, error) {
	if name == "" && advertised.IsLoopback() {
		name = "local"
	}
	switch name {
	case "local":
		return local(), nil
	case "lan", "":
		lan := memberlist.DefaultLANConfig()
		lan.TCPTimeout = 3 * time.Second
		return profile{base: lan, retry: time.Second, again: 15 * time.Second}, nil
	case "wan":
		return profile{base: memberlist.DefaultWANConfig(), retry: 3 * time.Second, again: time.Minute}, nil
	}
	return profile{}, fmt.Errorf("gossip profile %q: it is lan, wan or local", name)
}

// local is for one machine, where a packet takes microseconds and only a
// starved process is slow: nobody's confirmation of a suspicion is awaited.
func local() profile {
	c := memberlist.DefaultLocalConfig()
	c.ProbeInterval = 200 * time.Millisecond
	c.ProbeTimeout = 100 * time.Millisecond
	c.RetransmitMult = 4
	c.SuspicionMult = 3
	c.SuspicionMaxTimeoutMult = 1
	c.GossipInterval = 50 * time.Millisecond
	c.PushPullInterval = 5 * time.Second
	return profile{base: c, retry: 500 * time.Millisecond, again: 3 * time.Second}
}
