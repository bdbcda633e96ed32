package source

import (
	"context"

	"github.com/millrace/millrace/worker/format"
	"github.com/millrace/millrace/worker/processor"
)

// Concatenation is the text of many parts as one stream: each part's records,
// with a newline added after a part that lacks its last one.
type Concatenation = format.Concatenation

// Concat starts a concatenation of text parts; Close it.
func Concat(ctx context.Context, parts []processor.Part) *Concatenation {
	return format.Concat(ctx, parts)
}
