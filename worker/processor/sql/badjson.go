package sql

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// checkWindow is how much JSON text is tried at a time when bad records are
// looked for, in bytes.
const checkWindow = 1 << 20

// errTooLong is a JSON record that is too long, which DuckDB does not mind.
var errTooLong = errors.New("a record is longer than it may be")

// scanLines finds the JSON records that need no parser to be found bad.
func (f *finder) scanLines() {
	for from := 0; from < len(f.text); {
		f.forget(from)
		to := f.lineEnd(from)
		line := f.text[from:to]
		switch {
		case hasLongLine(line, f.r.in.MaxRecordBytes):
			f.bad = append(f.bad, badSpan{from, to, f.tooLong()})
		case !utf8.Valid(line):
			f.bad = append(f.bad, badSpan{from, to, "invalid UTF-8"})
		}
		from = to
	}
}

// findJSON tries window after window. DuckDB's reader stops at the first bad
// record, and what it says about where that lies is not to be relied on: it is
// a hint for where to look first.
func (f *finder) findJSON(ctx context.Context) error {
	for from := 0; from < len(f.text); {
		f.forget(from)
		to := f.lineEnd(min(from+checkWindow, len(f.text)-1))
		for {
			rest := f.rest(from, to)
			failed, err := f.try(ctx, rest.text)
			if err != nil {
				return err
			}
			if failed == nil {
				break
			}
			found, err := f.one(ctx, &rest, failed)
			if err != nil {
				return err
			}
			f.add(found)
		}
		from = to
	}
	return nil
}

// try runs the query over some records. It answers with the error that tells
// of a bad one, and separately with any other.
func (f *finder) try(ctx context.Context, text []byte) (bad, other error) {
	if len(text) == 0 {
		return nil, nil
	}
	if err := fill(f.i.mem, text); err != nil {
		return nil, err
	}
	if err := f.discard(ctx, ""); isBad(err) {
		return err, nil
	} else if err != nil {
		return nil, err
	}
	return nil, nil
}

// one finds one bad record in text that has some: where DuckDB's message points
// to, or by halving.
func (f *finder) one(ctx context.Context, rest *remainder, failed error) (badSpan, error) {
	lines := bytes.SplitAfter(rest.text, newline)
	starts := make([]int, len(lines)+1)
	for i, line := range lines {
		starts[i+1] = starts[i] + len(line)
	}
	hint := hintedLine(failed)
	for _, i := range []int{hint - 1, hint - 2} {
		if i < 0 || i >= len(lines) {
			continue
		}
		bad, err := f.try(ctx, lines[i])
		if err != nil {
			return badSpan{}, err
		}
		if bad != nil {
			return f.span(rest, starts[i], starts[i+1], bad), nil
		}
	}
	return f.halve(ctx, rest, starts)
}

// halve finds a bad record among lines that have one.
func (f *finder) halve(ctx context.Context, rest *remainder, starts []int) (badSpan, error) {
	from, to := 0, len(starts)-1
	for to-from > 1 {
		middle := (from + to) / 2
		bad, err := f.try(ctx, rest.text[starts[from]:starts[middle]])
		if err != nil {
			return badSpan{}, err
		}
		if bad != nil {
			to = middle
		} else {
			from = middle
		}
	}
	bad, err := f.try(ctx, rest.text[starts[from]:starts[to]])
	if err == nil && bad == nil {
		err = f.last // bad only in company: nothing that we can name
	}
	if err != nil {
		return badSpan{}, err
	}
	return f.span(rest, starts[from], starts[to], bad), nil
}

func (f *finder) span(rest *remainder, from, to int, err error) badSpan {
	start := rest.original(from)
	return badSpan{start, start + to - from, jsonReason(err)}
}

var jsonPlace = regexp.MustCompile(`in (?:line|record/value) (\d+): `)

// hintedLine is the line that a message points to, from 1; 0 for none.
func hintedLine(err error) int {
	m := jsonPlace.FindStringSubmatch(err.Error())
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// jsonReason is what a message says, without the place in a file that nobody
// knows.
func jsonReason(err error) string {
	message, _, _ := strings.Cut(err.Error(), "\n")
	if at := jsonPlace.FindStringIndex(message); at != nil {
		message = message[at[1]:]
	}
	message, _, _ = strings.Cut(message, " Try auto-detecting")
	return strings.TrimRight(message, ". ")
}
