package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestAdvertisedHost(t *testing.T) {
	var resolve Resolver = func(_ context.Context, host string) ([]netip.Addr, error) {
		if host == "here.example" {
			return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.9")}, nil
		}
		return nil, errors.New("no such host")
	}
	for _, c := range []struct {
		advertise, bind string
		join            []string
		want            string
	}{
		{"10.1.2.3:7", ":0", nil, "10.1.2.3"},
		{"10.1.2.3", ":0", nil, "10.1.2.3"},
		{"worker.example:7", "127.0.0.1:0", nil, "worker.example"},
		{"fd00::7", ":0", nil, "fd00::7"},
		{"[fd00::7]:7", ":0", nil, "fd00::7"},
		{"", "127.0.0.5:0", []string{"10.9.9.9:7"}, "127.0.0.5"},
		{"", "host.example:0", nil, "host.example"},
		{"", "0.0.0.0:0", []string{"127.0.0.1:7"}, "127.0.0.1"},
		{"", ":0", []string{"nowhere.example:7", "here.example:7"}, "127.0.0.1"},
		{"", "[::]:0", []string{"127.0.0.1:7"}, "127.0.0.1"},
	} {
		if got, err := resolve.advertisedHost(t.Context(), c.advertise, c.bind, c.join, nil); err != nil || got != c.want {
			t.Errorf("%q on %s to %v: %s, %v; want %s", c.advertise, c.bind, c.join, got, err, c.want)
		}
	}
	for _, bad := range [][2]string{{":7", ":0"}, {"", "nowhere"}, {"h:99999", ":0"}} {
		if got, err := resolve.advertisedHost(t.Context(), bad[0], bad[1], nil, nil); err == nil {
			t.Errorf("%v gives %s", bad, got)
		}
	}
}

func TestAdvertisedHostSaysWhatIsNoMember(t *testing.T) {
	_, err := AdvertisedHost(t.Context(), "", ":0", []string{"127.0.0.1:7", "foo"})
	if err == nil || !strings.Contains(err.Error(), `join "foo" is not HOST:PORT`) {
		t.Errorf("the error is: %v", err)
	}
}

// Without a word from anybody, an address of this machine is found that can be
// listened on.
func TestOwnAddress(t *testing.T) {
	host, err := AdvertisedHost(t.Context(), "", ":0", nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatalf("%s is not of this machine: %v", host, err)
	}
	l.Close()
}

func TestPrivateIPv4IsLikeliest(t *testing.T) {
	order := []string{"::1", "2001:db8::1", "fd00::1", "203.0.113.5", "10.0.0.1"}
	for i := range order[1:] {
		if rank(netip.MustParseAddr(order[i])) >= rank(netip.MustParseAddr(order[i+1])) {
			t.Errorf("%s comes before %s", order[i], order[i+1])
		}
	}
}

func TestAdvertisedHostsAreOfBothFamilies(t *testing.T) {
	own := []netip.Addr{}
	for _, a := range []string{"127.0.0.1", "::1", "fe80::1", "2001:db8::1", "fd00::1", "203.0.113.5", "10.0.0.1"} {
		own = append(own, netip.MustParseAddr(a))
	}
	four, six := own[5:], own[1:5]
	for _, c := range []struct {
		advertise, bind string
		join            []string
		own             []netip.Addr
		want            string
	}{
		{"", ":0", nil, own, "[10.0.0.1 fd00::1]"},
		{"", "[::]:0", nil, own, "[10.0.0.1 fd00::1]"},
		{"", "0.0.0.0:0", nil, own, "[10.0.0.1]"},
		{"", "10.0.0.1:0", nil, own, "[10.0.0.1]"},
		{"", "[fd00::1]:0", nil, own, "[fd00::1]"},
		{"mill.example", ":0", nil, own, "[mill.example]"},
		{"", ":0", []string{"127.0.0.1:7"}, own, "[127.0.0.1]"},
		{"", ":0", nil, four, "[10.0.0.1]"},
		{"", ":0", nil, six, "[fd00::1]"},
		{"", ":0", nil, own[:3], "[127.0.0.1]"},
	} {
		got, err := Resolver(nil).advertisedHosts(t.Context(), c.advertise, c.bind, c.join, c.own)
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%q on %s to %v: %v, %v; want %s", c.advertise, c.bind, c.join, got, err, c.want)
		}
	}
}

// The port is the one that was told, unless that is to be chosen: then it is the
// one that is listened on.
func TestAdvertisedAddresses(t *testing.T) {
	for _, c := range []struct{ advertise, bind, want string }{
		{"example.org", "[::]:70", "example.org:70"},
		{"example.org:443", "[::]:70", "example.org:443"},
		{"example.org:0", "[::]:70", "example.org:70"},
		{"fd00::1", "[::]:70", "[fd00::1]:70"},
		{"[fd00::1]:443", "[::]:70", "[fd00::1]:443"},
		{"", "127.0.0.5:70", "127.0.0.5:70"},
	} {
		got, err := AdvertisedAddresses(t.Context(), c.advertise, c.bind, nil)
		if err != nil || len(got) != 1 || got[0] != c.want {
			t.Errorf("%q on %s is told as %v, %v", c.advertise, c.bind, got, err)
		}
	}
	for _, c := range [][2]string{{"", "nowhere"}, {"example.org:https", ":70"}, {":443", ":70"}} {
		if got, err := AdvertisedAddresses(t.Context(), c[0], c[1], nil); err == nil {
			t.Errorf("%q is told as %v", c, got)
		}
	}
}

// Who listens on all addresses is told at one of each family that there is.
func TestAdvertisedAddressesOfThisMachine(t *testing.T) {
	for listen, most := range map[string]int{"[::]:7": 2, "0.0.0.0:7": 1, "127.0.0.1:7": 1, "[::1]:7": 1} {
		got, err := AdvertisedAddresses(t.Context(), "", listen, []string{"192.0.2.77:7401"})
		if err != nil || len(got) < 1 || len(got) > most {
			t.Errorf("on %s it is reached at %q, %v", listen, got, err)
		}
		for _, address := range got {
			a, err := netip.ParseAddrPort(address)
			if err != nil || a.Addr().IsUnspecified() || a.Port() != 7 {
				t.Errorf("on %s it is reached at %q", listen, got)
			}
		}
	}
}

func TestProfileGoesWithTheAddress(t *testing.T) {
	for address, fast := range map[string]bool{"127.0.0.1": true, "::1": true, "10.0.0.1": false} {
		p, err := profileOf("", net.ParseIP(address))
		if err != nil || (p.retry == local().retry) != fast {
			t.Errorf("%s is on loopback: %v, %v", address, !fast, err)
		}
	}
	for _, name := range []string{"lan", "wan", "local"} {
		if _, err := profileOf(name, nil); err != nil {
			t.Error(err)
		}
	}
}
