package coordinator

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"unicode"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
)

// Limits of an attach: counts, and bytes of one entry.
const (
	maxName         = 63
	maxSlots        = 4_096
	maxVersion      = 200
	maxProcessors   = 1_000
	maxProcessor    = 4_200 // a prefix and a path
	maxAddresses    = 16
	maxAddress      = 300 // a DNS name of 253, brackets and a port
	maxRoots        = 64
	maxRoot         = 4_096
	maxJobsReported = 1_000_000
)

// introduction is what a worker says of itself that is not the ledger's
// business: it is for people and for other workers.
type introduction struct {
	incarnation uint64
	version     string
	zone        string
	peer        string   // where its session comes from; empty when unknown
	addresses   []string // where it serves its outputs
	roots       []string
	memory      int64
}

// introduced is what an attach that came from a peer says.
func introduced(a *pb.Attach, peer net.Addr) introduction {
	i := introduction{
		incarnation: a.GetIncarnation(), version: a.GetVersion(), zone: a.GetZone(),
		addresses: a.GetDataAddresses(), roots: a.GetDataRoots(), memory: a.GetMemoryBytes(),
	}
	if tcp, ok := peer.(*net.TCPAddr); ok {
		i.peer, i.addresses = tcp.String(), reachable(a.GetDataAddresses(), tcp)
	}
	return i
}

// where says from where a process takes part, for people.
func (i introduction) where() string {
	said := "an unknown address"
	if i.peer != "" {
		said = i.peer
	}
	if len(i.addresses) > 0 {
		said += " (serving at " + strings.Join(i.addresses, ", ") + ")"
	}
	return said
}

// reachable gives addresses that stand for all of a machine's the host from
// which the machine is seen.
func reachable(addresses []string, peer *net.TCPAddr) []string {
	seen := make([]string, len(addresses))
	for i, address := range addresses {
		host, port, err := net.SplitHostPort(address)
		if ip, bad := netip.ParseAddr(host); err == nil && (host == "" || bad == nil && ip.IsUnspecified()) {
			address = net.JoinHostPort((&net.IPAddr{IP: peer.IP, Zone: peer.Zone}).String(), port)
		}
		seen[i] = address
	}
	return seen
}

// checkAttach tells what is wrong with an attach.
func checkAttach(a *pb.Attach, version string) error {
	switch {
	case a == nil:
		return api.Errorf(api.Invalid, "the first message of a session must be an attach")
	case a.GetWorker() == "" || len(a.GetWorker()) > maxName:
		return api.Errorf(api.Invalid, "a worker's name has 1 to %d bytes, not %d", maxName, len(a.GetWorker()))
	case strings.ContainsFunc(a.GetWorker(), unfit):
		return api.Errorf(api.Invalid, "the worker's name %q holds a slash, a blank or what can't be printed; give it another", a.GetWorker())
	}
	if err := checkProtocol(a, api.Protocol, version); err != nil {
		return err
	}
	for _, check := range []func(*pb.Attach) error{checkCapacity, checkLabels, checkPlaces} {
		if err := check(a); err != nil {
			return api.Errorf(api.Invalid, "worker %s: %v", a.GetWorker(), err)
		}
	}
	return nil
}

// unfit says whether a letter may not be part of a worker's name: names go into
// file names, addresses and logs.
func unfit(r rune) bool { return r == '/' || unicode.IsSpace(r) || !unicode.IsPrint(r) }

// checkProtocol refuses a worker whose protocol is neither the coordinator's
// nor the one before.
func checkProtocol(a *pb.Attach, own uint32, version string) error {
	theirs := a.GetProtocol()
	if theirs == own || theirs != 0 && theirs == own-1 {
		return nil
	}
	behind, ahead := "worker", "coordinator"
	if theirs > own {
		behind, ahead = ahead, behind
	}
	return api.Errorf(api.Invalid, "worker %s (version %s) speaks protocol %d, and its coordinator (version %s) protocol %d: upgrade the %s to the version of the %s",
		a.GetWorker(), cmp.Or(api.Clip(a.GetVersion(), maxVersion), "unknown"), theirs, cmp.Or(version, "unknown"), own, behind, ahead)
}

func checkCapacity(a *pb.Attach) error {
	switch {
	case a.GetSession() == 0:
		return fmt.Errorf("sessions count from 1")
	case a.GetSlots() < 1 || a.GetSlots() > maxSlots:
		return fmt.Errorf("it has %d slots; it must be 1 to %d", a.GetSlots(), maxSlots)
	case a.GetMemoryBytes() < 0:
		return fmt.Errorf("its memory is %d bytes", a.GetMemoryBytes())
	case len(a.GetVersion()) > maxVersion:
		return fmt.Errorf("its version has %d bytes; at most %d are allowed", len(a.GetVersion()), maxVersion)
	case len(a.GetJobs()) > maxJobsReported:
		return fmt.Errorf("it keeps something of %d jobs; at most %d are allowed", len(a.GetJobs()), maxJobsReported)
	}
	return bounded("processors", a.GetProcessors(), maxProcessors, maxProcessor)
}

func checkLabels(a *pb.Attach) error {
	if len(a.GetLabels()) > api.MaxLabels {
		return fmt.Errorf("it has %d labels; at most %d are allowed", len(a.GetLabels()), api.MaxLabels)
	}
	for key, value := range a.GetLabels() {
		if key == "" || max(len(key), len(value)) > api.MaxLabelBytes {
			return fmt.Errorf("label %q: a name has 1 to %d bytes, a value at most as many", api.Clip(key+"="+value, maxNameShown), api.MaxLabelBytes)
		}
	}
	return nil
}

func checkPlaces(a *pb.Attach) error {
	if len(a.GetZone()) > maxName {
		return fmt.Errorf("its zone has %d bytes; at most %d are allowed", len(a.GetZone()), maxName)
	}
	if err := bounded("data addresses", a.GetDataAddresses(), maxAddresses, maxAddress); err != nil {
		return err
	}
	for _, address := range a.GetDataAddresses() {
		if _, port, err := net.SplitHostPort(address); err != nil || port == "" || port == "0" {
			return fmt.Errorf("the data address %q is not of the form HOST:PORT", address)
		}
	}
	return bounded("data roots", a.GetDataRoots(), maxRoots, maxRoot)
}

// bounded checks how many entries a list has, and how long they are.
func bounded(what string, list []string, most, bytes int) error {
	if len(list) > most {
		return fmt.Errorf("it has %d %s; at most %d are allowed", len(list), what, most)
	}
	for _, entry := range list {
		if len(entry) > bytes {
			return fmt.Errorf("one of its %s has %d bytes; at most %d are allowed", what, len(entry), bytes)
		}
	}
	return nil
}

// endAbsent tells a session which of its jobs ended while its worker was away.
// Jobs of another log, that its coordinator has lost, have ended too.
func (o *owner) endAbsent(s *session, jobs []uint64) {
	for _, id := range jobs {
		v, known := o.ledger.Job(ledger.JobID(id), o.now)
		if known && !v.ResultRead && v.State != ledger.StateFailed && v.State != ledger.StateCancelled {
			s.known.add(v.ID)
		} else if out := o.to(s.worker, s.number); out != nil {
			out.EndedJobs = append(out.EndedJobs, id)
		}
	}
}
