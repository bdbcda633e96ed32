package function

import (
	"context"
	"errors"
	"iter"
)

// errEnough ends the reading of a batch whose function wants no more of it.
var errEnough = errors.New("enough")

// Input is a batch as a function made by Batch sees it.
type Input[R any] struct {
	ctx  context.Context
	env  *env
	read reader[R]
	err  error // why All ended early
}

// All are the batch's records, in the order of the source. They can be read
// once. Where reading fails they end early, and the batch fails whatever the
// function returns. A function that stops early leaves the rest unread.
func (b *Input[R]) All() iter.Seq[R] {
	return func(yield func(R) bool) {
		err := b.read(b.ctx, b.env, func(record R) error {
			if !yield(record) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			b.err = err
		}
	}
}

// File is the file of the record that All gave last; empty where it came from
// none.
func (b *Input[R]) File() string { return b.env.at.file }

// Offset is where that record starts in its file, in bytes (rows in Parquet and
// Arrow); -1 where that is unknown.
func (b *Input[R]) Offset() int64 { return b.env.at.offset }

// Job is the job's identifier, and Stage the stage's name.
func (b *Input[R]) Job() string { return b.env.JobID }

// Stage is the stage's name.
func (b *Input[R]) Stage() string { return b.env.Stage }

// Number is the batch's number in its job.
func (b *Input[R]) Number() uint64 { return b.env.Batch }

// Attempt is which attempt at the batch this is, from 1.
func (b *Input[R]) Attempt() int { return int(b.env.Attempt.Number) }

// Positions are the first position in the source that the batch covers, and
// the one after its last.
func (b *Input[R]) Positions() (from, to int64) { return b.env.Position, b.env.EndPosition }

// TempDir makes, when it is first called, a folder of this attempt's own. It is
// removed afterwards.
func (b *Input[R]) TempDir() (string, error) { return b.env.TempDir() }

// Count adds to a counter of the job.
func (b *Input[R]) Count(name string, delta int64) { b.env.Count(name, delta) }

// Status tells whoever watches the job, in a few words, what is being done.
func (b *Input[R]) Status(text string) { b.env.Status(text) }
