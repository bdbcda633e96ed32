package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// printJSON prints a value on standard output.
func (a *app) printJSON(v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return failed(err)
	}
	_, err = a.stdout.Write(append(data, '\n'))
	return err
}

// grouped writes 1234567 as 1,234,567.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// size writes bytes in decimal units: 84.1 MB.
func size(n int64) string {
	return scaled(float64(n), 1000, "B", "kB", "MB", "GB", "TB", "PB")
}

// short writes a number in a few letters: 2.3M.
func short(v float64) string {
	return strings.ReplaceAll(scaled(v, 1000, "", "k", "M", "G", "T"), " ", "")
}

func scaled(v, step float64, units ...string) string {
	i := 0
	for v >= step && i < len(units)-1 {
		v /= step
		i++
	}
	digits := 0
	if i > 0 && v < 100 {
		digits = 1
	}
	return strings.TrimRight(fmt.Sprintf("%.*f %s", digits, v, units[i]), " ")
}

// rounded shortens a time for people: three figures are enough.
func rounded(d time.Duration) string {
	switch {
	case d >= time.Minute:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case d >= time.Millisecond:
		d = d.Round(100 * time.Microsecond)
	default:
		d = d.Round(100 * time.Nanosecond)
	}
	return d.String()
}

// count writes a number with its noun: 1 batch, 2 batches.
func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// plain is a text on one line that is safe to see: what is not for a terminal,
// which others may have put in a name, is a question mark.
func plain(text string) string { return strings.Map(graphic, text) }

func graphic(r rune) rune {
	if unicode.IsGraphic(r) {
		return r
	}
	return '?'
}

// plainLines is plain for a text that may have several lines.
func plainLines(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return graphic(r)
	}, strings.ReplaceAll(text, "\r\n", "\n"))
}

// indented puts a prefix before each line of a text.
func indented(text, prefix string) string {
	return prefix + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+prefix)
}

// wrapped breaks a list at its commas, so that no line is wider than width, in
// cells. Lines after the first are set in.
func wrapped(list string, width int) string {
	const inset = "  "
	var b strings.Builder
	column := 0
	for i, part := range strings.SplitAfter(list, ", ") {
		if i > 0 && column+len(strings.TrimRight(part, " ")) > width {
			b.WriteString("\n" + inset)
			column = len(inset)
		}
		b.WriteString(part)
		column += len(part)
	}
	return strings.ReplaceAll(b.String(), " \n", "\n")
}

// enumWord is a value of an enum in lower case, without the prefix that all of
// the enum have.
func enumWord(name, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(name, prefix))
}

// printLine prints a value as JSON on one line of standard output.
func (a *app) printLine(v any) error { return json.NewEncoder(a.stdout).Encode(v) }
