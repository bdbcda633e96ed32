package fleet

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/memberlist"
	"google.golang.org/protobuf/encoding/protowire"
)

// What a member says of itself travels with its name in every packet that
// mentions it, so it is small: a byte for the format, then a protobuf message
// whose unknown fields are passed over. The name and the incarnation are in the
// gossip name.
const (
	metaFormat = 1
	// maxMetadata is how much a member can say of itself, in bytes encoded:
	// role, addresses, zone and version.
	maxMetadata = memberlist.MetaMaxSize
	// MaxName is the longest name of a member, in bytes.
	MaxName = 63
	// MaxAddresses is how many addresses a member can have.
	MaxAddresses = 16
)

// The fields of the message.
const (
	metaRole      protowire.Number = 1
	metaAddress   protowire.Number = 2
	metaSlots     protowire.Number = 3
	metaZone      protowire.Number = 4
	metaVersion   protowire.Number = 5
	metaFieldsEnd                  = metaVersion
)

var errMeta = errors.New("not a description of a member")

// encodeMeta is what a member says of itself, or an error if that is too much.
func encodeMeta(m Member) ([]byte, error) {
	b := []byte{metaFormat}
	b = appendText(b, metaRole, string(m.Role))
	for _, a := range m.Addresses {
		b = appendText(b, metaAddress, a)
	}
	if m.Slots != 0 {
		b = protowire.AppendTag(b, metaSlots, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(m.Slots))
	}
	b = appendText(b, metaZone, m.Zone)
	b = appendText(b, metaVersion, m.Version)
	if len(b) > maxMetadata {
		return nil, fmt.Errorf("gossip can say %d bytes of a member, and its addresses, zone (%d bytes) and version (%d bytes) make %d: give fewer or shorter ones",
			maxMetadata, len(m.Zone), len(m.Version), len(b))
	}
	return b, nil
}

func appendText(b []byte, field protowire.Number, text string) []byte {
	if text == "" {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, text)
}

// decodeMeta adds to m what b says.
func decodeMeta(b []byte, m *Member) error {
	if len(b) == 0 || b[0] != metaFormat {
		return errMeta
	}
	for b = b[1:]; len(b) > 0; {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errMeta
		}
		b = b[n:]
		if n = decodeField(b, field, kind, m); n < 0 {
			return errMeta
		}
		b = b[n:]
	}
	if m.Role == "" || len(m.Addresses) > MaxAddresses {
		return errMeta
	}
	return nil
}

// decodeField adds one field to m, and returns its length; negative for
// nonsense.
func decodeField(b []byte, field protowire.Number, kind protowire.Type, m *Member) int {
	if field == metaSlots {
		slots, n := protowire.ConsumeVarint(b)
		if kind != protowire.VarintType || slots > math.MaxInt32 {
			return -1
		}
		m.Slots = int(slots)
		return n
	}
	if field > metaFieldsEnd {
		return protowire.ConsumeFieldValue(field, kind, b)
	}
	text, n := protowire.ConsumeString(b)
	if kind != protowire.BytesType || n < 0 || text == "" || !utf8.ValidString(text) {
		return -1
	}
	m.set(field, text)
	return n
}

func (m *Member) set(field protowire.Number, text string) {
	switch field {
	case metaRole:
		m.Role = Role(text)
	case metaAddress:
		m.Addresses = append(m.Addresses, text)
	case metaZone:
		m.Zone = text
	case metaVersion:
		m.Version = text
	}
}

// gossipName is the name under which a process gossips: its own name and its
// incarnation, so that a restart on another port is no conflict.
func gossipName(name string, incarnation uint64) string {
	return name + "/" + strconv.FormatUint(incarnation, 10)
}

// splitName undoes gossipName.
func splitName(gossip string) (name string, incarnation uint64, err error) {
	slash := strings.LastIndexByte(gossip, '/')
	if slash < 1 || slash > MaxName {
		return "", 0, errMeta
	}
	incarnation, err = strconv.ParseUint(gossip[slash+1:], 10, 64)
	if err != nil {
		return "", 0, errMeta
	}
	return gossip[:slash], incarnation, nil
}
