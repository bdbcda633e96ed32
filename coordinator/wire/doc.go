// Package wire converts between the contract and the ledger's own structs, and
// is the only place that knows both. It decides what of a message the ledger
// needs to see, and what passes through it as bytes; and it refuses messages
// that would break the ledger's assumptions. What they lead to is not decided
// here.
package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"
)

// marshal encodes a message that was made here or arrived over the wire, alike
// for equal messages.
func marshal(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("wire: encode %T: %v", m, err)) // invalid UTF-8 can't have arrived
	}
	return b
}

// unmarshal decodes what marshal encoded.
func unmarshal[M any, P interface {
	*M
	proto.Message
}](b []byte) P {
	m := P(new(M))
	if err := proto.Unmarshal(b, m); err != nil {
		panic(fmt.Sprintf("wire: decode %T: %v", m, err)) // only marshal's bytes come here
	}
	return m
}
