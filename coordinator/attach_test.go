package coordinator

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

// attachOf is an attach that is taken, with changes.
func attachOf(change ...func(*pb.Attach)) *pb.Attach {
	a := &pb.Attach{
		Worker: "w", Session: 1, Slots: 2, Protocol: api.Protocol, Incarnation: 1, Version: "1.0.0", Zone: "z",
		Labels: map[string]string{"disk": "fast"}, Processors: []string{"sql", "command:*"},
		DataAddresses: []string{"10.0.0.1:7071"}, DataRoots: []string{"/data"},
	}
	for _, c := range change {
		c(a)
	}
	return a
}

func TestLimitsOfAnAttach(t *testing.T) {
	if err := checkAttach(attachOf(), ""); err != nil {
		t.Fatalf("a good attach is refused: %v", err)
	}
	many := func(n int) []string { return make([]string, n) }
	labels := make(map[string]string)
	for i := range 100_000 {
		labels[fmt.Sprint(i)] = ""
	}
	for what, spoil := range map[string]func(*pb.Attach){
		"a slash in the name":       func(a *pb.Attach) { a.Worker = "a/b" },
		"a newline in the name":     func(a *pb.Attach) { a.Worker = "a\nb" },
		"a long name":               func(a *pb.Attach) { a.Worker = strings.Repeat("n", 64) },
		"a huge map of labels":      func(a *pb.Attach) { a.Labels = labels },
		"an empty label":            func(a *pb.Attach) { a.Labels = map[string]string{"": "x"} },
		"10,000 addresses":          func(a *pb.Attach) { a.DataAddresses = many(10_000) },
		"an address without a port": func(a *pb.Attach) { a.DataAddresses = []string{"10.0.0.1"} },
		"a port of 0":               func(a *pb.Attach) { a.DataAddresses = []string{"10.0.0.1:0"} },
		"a long address":            func(a *pb.Attach) { a.DataAddresses = []string{strings.Repeat("h", 400) + ":1"} },
		"too many roots":            func(a *pb.Attach) { a.DataRoots = many(65) },
		"a long root":               func(a *pb.Attach) { a.DataRoots = []string{"/" + strings.Repeat("r", 4096)} },
		"a long zone":               func(a *pb.Attach) { a.Zone = strings.Repeat("z", 64) },
		"a long version":            func(a *pb.Attach) { a.Version = strings.Repeat("v", 201) },
		"too many processors":       func(a *pb.Attach) { a.Processors = many(1_001) },
		"a long processor":          func(a *pb.Attach) { a.Processors = []string{strings.Repeat("p", 4201)} },
		"negative memory":           func(a *pb.Attach) { a.MemoryBytes = -1 },
		"too many slots":            func(a *pb.Attach) { a.Slots = 4097 },
		"very many jobs":            func(a *pb.Attach) { a.Jobs = make([]uint64, 1_000_001) },
	} {
		err := checkAttach(attachOf(spoil), "")
		if err == nil || api.CodeOf(err) != api.Invalid {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if len(err.Error()) > 500 {
			t.Errorf("%s is told in %d bytes", what, len(err.Error()))
		}
	}
}

func TestVersionsMayDifferByOne(t *testing.T) {
	for _, c := range []struct {
		theirs, own uint32
		upgrade     string // empty: they fit
	}{
		{5, 5, ""},
		{4, 5, ""},
		{1, 1, ""},
		{0, 1, "upgrade the worker"},
		{3, 5, "upgrade the worker"},
		{6, 5, "upgrade the coordinator"},
		{0, 5, "upgrade the worker"},
		{1<<32 - 1, 5, "upgrade the coordinator"},
	} {
		err := checkProtocol(attachOf(func(a *pb.Attach) { a.Protocol, a.Version = c.theirs, "7.8.9" }), c.own, "4.5.6")
		switch {
		case c.upgrade == "" && err != nil:
			t.Errorf("protocol %d at one of %d: %v", c.theirs, c.own, err)
		case c.upgrade == "":
		case err == nil || api.CodeOf(err) != api.Invalid:
			t.Errorf("protocol %d at one of %d: %v", c.theirs, c.own, err)
		case !strings.Contains(err.Error(), c.upgrade) || !strings.Contains(err.Error(), "7.8.9") || !strings.Contains(err.Error(), "4.5.6"):
			t.Errorf("protocol %d at one of %d is refused by %q", c.theirs, c.own, err)
		}
	}
}

func TestAWorkerIsReachedWhereItIsSeen(t *testing.T) {
	addresses := []string{"0.0.0.0:1", "[::]:2", ":3", "10.9.9.9:4", "name:5"}
	for _, c := range []struct {
		peer net.Addr
		want []string
	}{
		{&net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 999}, []string{"192.0.2.7:1", "192.0.2.7:2", "192.0.2.7:3", "10.9.9.9:4", "name:5"}},
		{&net.TCPAddr{IP: net.ParseIP("fe80::7"), Zone: "eth0"}, []string{"[fe80::7%eth0]:1", "[fe80::7%eth0]:2", "[fe80::7%eth0]:3", "10.9.9.9:4", "name:5"}},
		{nil, addresses},
	} {
		got := introduced(&pb.Attach{DataAddresses: slices.Clone(addresses)}, c.peer)
		if !slices.Equal(got.addresses, c.want) {
			t.Errorf("from %v: %q", c.peer, got.addresses)
		}
	}
}

// A coordinator tells its version, and a worker of another protocol is told
// which of the two to upgrade.
func TestVersionsAreTold(t *testing.T) {
	inWorld(t, Config{Version: "4.5.6"}, func(w *world) {
		f := w.dial()
		f.introduce(attachOf())
		if a := f.said.Attached; a.GetVersion() != "4.5.6" || a.GetProtocol() != api.Protocol {
			t.Errorf("the attach was answered by %v", a)
		}
		newer := w.dial()
		newer.send(&pb.SessionRequest{Attach: attachOf(func(a *pb.Attach) { a.Worker, a.Protocol = "newer", api.Protocol+1 })})
		if err := w.refused("a newer worker", newer.ended(), api.Invalid); !strings.Contains(err.Message, "upgrade the coordinator") {
			t.Errorf("it is told %q", err.Message)
		}
	})
}

func TestTwoProcessesOfOneNameAreBothNamed(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		first := w.dial()
		first.introduce(attachOf(func(a *pb.Attach) { a.Session, a.Incarnation = 10, 10 }))
		second := w.dial()
		second.send(&pb.SessionRequest{Attach: attachOf(func(a *pb.Attach) {
			a.Session, a.Incarnation, a.DataAddresses = 20, 20, []string{"10.0.0.2:7072"}
		})})
		err := w.refused("another process of the name", second.ended(), api.Conflict)
		if !strings.Contains(err.Message, "10.0.0.1:7071") || !strings.Contains(err.Message, "10.0.0.2:7072") {
			t.Errorf("it is told %q", err.Message)
		}
		first.credit(1)
		w.submit("")
		first.grant() // it goes on
	})
}

// Whoever needs an output of another worker is told where that serves it, also
// while the other is away.
func TestLeasesTellWhereTheirInputsAre(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		maker := w.dial()
		maker.introduce(attachOf(func(a *pb.Attach) { a.Worker, a.Processors = "maker", []string{"command:*"} }))
		w.submit("", func(s *pb.JobSpec) {
			s.Stages = append(s.Stages, &pb.Stage{Processor: &pb.Stage_Command{Command: "wc"}, Exchange: pb.Exchange_EXCHANGE_COLLECT})
		})
		maker.credit(1)
		p := plan(1)
		p.Stages = append(p.Stages, &pb.StagePlan{
			Name: "wc", Input: pb.StageInput_STAGE_INPUT_COLLECT, Cut: &pb.Cut{Rule: pb.CutRule_CUT_RULE_ONE}, Output: pb.OutputKind_OUTPUT_KIND_BYTES,
		})
		maker.plan(p)
		maker.credit(1)
		maker.done(maker.grant(), []byte("some"))
		maker.ack()
		maker.hangUp()
		taker := w.attach("taker", 1)
		taker.credit(1)
		in := taker.grant().GetInputs()
		if len(in) != 1 || in[0].GetWorker() != "maker" || !slices.Equal(in[0].GetAddresses(), []string{"10.0.0.1:7071"}) || in[0].GetJob() == 0 {
			t.Errorf("the inputs are %v", in)
		}
	})
}
