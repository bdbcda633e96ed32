package fleet

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func TestMetadataSurvives(t *testing.T) {
	for _, want := range []Member{
		{Role: Coordinator},
		{Role: Worker, Addresses: []string{"10.0.0.1:7", "[fd00::1]:7"}, Slots: 4096, Zone: "rack 7, łódź", Version: "v1.2.3"},
		{Role: Worker, Addresses: many(MaxAddresses), Slots: 1},
	} {
		b, err := encodeMeta(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Member
		if err := decodeMeta(b, &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v came back as %+v, %v", want, got, err)
		}
	}
}

func many(n int) (addresses []string) {
	for i := range n {
		addresses = append(addresses, fmt.Sprintf("192.168.100.%d:54321", i+100))
	}
	return addresses
}

func TestMetadataThatDoesNotFitIsRefused(t *testing.T) {
	_, err := encodeMeta(Member{Role: Worker, Zone: strings.Repeat("z", 300), Version: strings.Repeat("v", 300)})
	if err == nil || !strings.Contains(err.Error(), "zone (300 bytes)") || !strings.Contains(err.Error(), "512 bytes") {
		t.Errorf("the error is: %v", err)
	}
	if _, err := encodeMeta(Member{Role: Worker, Addresses: many(MaxAddresses), Zone: strings.Repeat("z", 63)}); err != nil {
		t.Errorf("as many addresses as can be, and a long zone: %v", err)
	}
}

// What a later version adds is passed over; what is nonsense is refused.
func TestMetadataOfOthers(t *testing.T) {
	later, err := encodeMeta(Member{Role: Worker, Slots: 3})
	if err != nil {
		t.Fatal(err)
	}
	later = protowire.AppendTag(later, 99, protowire.BytesType)
	later = protowire.AppendString(later, "something new")
	var m Member
	if err := decodeMeta(later, &m); err != nil || m.Slots != 3 {
		t.Errorf("a later one is %+v, %v", m, err)
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "another format": {2, 10, 1, 'x'}, "no role": {1}, "cut short": {1, 10, 9, 'x'},
		"not text": {1, 10, 1, 0xff}, "not a number": {1, 10, 1, 'x', 26, 1, 'x'}, "many slots": append([]byte{1, 10, 1, 'x', 24}, protowire.AppendVarint(nil, 1<<40)...),
	} {
		if err := decodeMeta(b, &Member{}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestGossipNames(t *testing.T) {
	for _, name := range []string{"a", "rack/7/host", strings.Repeat("n", MaxName)} {
		got, incarnation, err := splitName(gossipName(name, 1<<63))
		if err != nil || got != name || incarnation != 1<<63 {
			t.Errorf("%s came back as %s, %d, %v", name, got, incarnation, err)
		}
	}
	for _, bad := range []string{"", "a", "/1", "a/", "a/-1", "a/x", strings.Repeat("n", MaxName+1) + "/1"} {
		if _, _, err := splitName(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// Whatever comes from the network is either refused or means the same when it
// is written again.
func FuzzMetadata(f *testing.F) {
	b, _ := encodeMeta(Member{Role: Worker, Addresses: many(2), Slots: 3, Zone: "z", Version: "v"})
	f.Add(b)
	f.Add([]byte{1, 10, 1, 'x', 24, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		var m, again Member
		if decodeMeta(b, &m) != nil {
			return
		}
		written, err := encodeMeta(m)
		if err != nil {
			if len(b) <= maxMetadata {
				t.Fatalf("%d bytes do not fit when written again: %v", len(b), err)
			}
			return
		}
		if err := decodeMeta(written, &again); err != nil || fmt.Sprint(m) != fmt.Sprint(again) {
			t.Fatalf("%+v came back as %+v, %v", m, again, err)
		}
	})
}
