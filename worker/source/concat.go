package source

import (
	"context"

	"github.com/millrace/millrace/worker/processor"
)

// Concatenation is the text of many parts as one stream: each part's records,
// with a newline added after a part that lacks its last one. A Read fills its
// whole buffer as long as there is more, and a part's bytes go straight into
// it.
type Concatenation struct {
	ctx   context.Context
	parts []processor.Part
}

// Concat starts a concatenation of text parts; Close it.
func Concat(ctx context.Context, parts []processor.Part) *Concatenation {
	return &Concatenation{ctx: ctx, parts: parts}
}

// Read reads on; io.EOF after the last part.
func (c *Concatenation) Read(p []byte) (int, error) { return 0, nil }

// Close ends the reading. What was read so far can still be located.
func (c *Concatenation) Close() error { return nil }

// Locate tells which part an offset of the concatenation lies in, and where in
// the part's file (decompressed) that is. Offsets that were not read yet are
// taken to lie in the part being read.
func (c *Concatenation) Locate(offset int64) (part int, inFile int64) { return 0, 0 }
