package format

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/mattn/go-runewidth"
)

// TableOptions says how a table is drawn.
type TableOptions struct {
	// Width is the terminal's, in cells; 0 for no limit.
	Width int
	// MaxRows shows the first and the last rows when there are more; 40 when
	// 0.
	MaxRows int
}

// defaultMaxRows is how many rows a table shows.
const defaultMaxRows = 40

// longestCell is how much of a value is kept, in bytes.
const longestCell = 1 << 10

// table gathers the first and the last rows of a result.
type table struct {
	w      io.Writer
	o      TableOptions
	names  []string
	right  []bool // columns of numbers
	first  [][]string
	last   [][]string // a ring of the rows behind the first
	rows   int64
	buffer []byte
}

// NewTable makes an encoder that draws a table for people when it is closed:
// as wide as its values, but no wider than the terminal (long values are cut,
// then columns in the middle left out), and with as many rows as may be shown,
// from the start and the end of the result.
func NewTable(w io.Writer, schema *arrow.Schema, o TableOptions) Encoder {
	if o.MaxRows <= 0 {
		o.MaxRows = defaultMaxRows
	}
	o.MaxRows = max(o.MaxRows, 2)
	t := &table{w: w, o: o}
	for _, f := range schema.Fields() {
		t.names = append(t.names, printable([]byte(f.Name)))
		t.right = append(t.right, isNumber(f.Type))
	}
	return t
}

func isNumber(t arrow.DataType) bool {
	return arrow.IsInteger(t.ID()) || arrow.IsFloating(t.ID()) || arrow.IsDecimal(t.ID())
}

// Write takes the rows of batch that may be shown.
func (t *table) Write(batch arrow.RecordBatch) error {
	columns := columnsOf(batch, plain)
	tail := t.o.MaxRows / 2
	n := int(batch.NumRows())
	for i := range n {
		switch {
		case len(t.first) < t.o.MaxRows-tail:
			t.first = append(t.first, t.cells(columns, i))
		case len(t.last) < tail:
			t.last = append(t.last, t.cells(columns, i))
		case i < n-tail: // another of this batch will take its place
		default:
			t.last[t.ring(int64(i))] = t.cells(columns, i)
		}
	}
	t.rows += int64(n)
	return nil
}

// ring is where row i of the batch being written lies in last.
func (t *table) ring(i int64) int {
	return int((t.rows + i - int64(len(t.first))) % int64(len(t.last)))
}

func (t *table) cells(columns []column, i int) []string {
	cells := make([]string, len(columns))
	for k := range columns {
		if columns[k].null(i) {
			cells[k] = "NULL"
			continue
		}
		t.buffer = columns[k].text(t.buffer[:0], i)
		cells[k] = printable(t.buffer)
	}
	return cells
}

// printable shows what a terminal must not obey.
func printable(v []byte) string {
	cut := len(v) > longestCell
	v = v[:min(len(v), longestCell)]
	var b strings.Builder
	for len(v) > 0 {
		r, n := utf8.DecodeRune(v)
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == utf8.RuneError && n == 1, !unicode.IsPrint(r) && r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, v[0])
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		v = v[n:]
	}
	if cut {
		b.WriteString("…")
	}
	return b.String()
}

// Close draws the table.
func (t *table) Close() error {
	l := t.layout()
	var b strings.Builder
	l.rule(&b, "┌", "┬", "┐")
	l.row(&b, t.names, false)
	l.rule(&b, "├", "┼", "┤")
	for _, r := range t.first {
		l.row(&b, r, true)
	}
	if shown := int64(len(t.first) + len(t.last)); t.rows > shown {
		l.gap(&b)
	}
	for k := range t.last {
		l.row(&b, t.last[t.ring(int64(k))], true)
	}
	l.rule(&b, "└", "┴", "┘")
	b.WriteString(t.count())
	_, err := io.WriteString(t.w, b.String())
	return err
}

// count is the line below the table.
func (t *table) count() string {
	s := grouped(t.rows) + " rows"
	if t.rows == 1 {
		s = "1 row"
	}
	if shown := int64(len(t.first) + len(t.last)); t.rows > shown {
		s += " (" + strconv.FormatInt(shown, 10) + " shown)"
	}
	return s + "\n"
}

// grouped writes a number with commas between its thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// layout is the columns that are shown, and how wide each is.
type layout struct {
	columns []int // -1 stands for those left out
	widths  []int
	right   []bool
}

// narrowest is how far a column is cut before columns are left out.
const narrowest = 8

func (t *table) layout() *layout {
	l := &layout{right: t.right}
	for k, name := range t.names {
		w := runewidth.StringWidth(name)
		for _, rows := range [][][]string{t.first, t.last} {
			for _, r := range rows {
				w = max(w, runewidth.StringWidth(r[k]))
			}
		}
		l.columns = append(l.columns, k)
		l.widths = append(l.widths, max(w, 1))
	}
	if t.o.Width > 0 {
		l.fit(t.o.Width)
	}
	return l
}

// total is the width of the table in cells.
func (l *layout) total() int {
	n := 1
	for _, w := range l.widths {
		n += w + 3
	}
	return n
}

// fit cuts the widest columns first, and then leaves out those in the middle.
func (l *layout) fit(width int) {
	for l.total() > width {
		widest := 0
		for k, w := range l.widths {
			if w > l.widths[widest] {
				widest = k
			}
		}
		if l.widths[widest] <= narrowest {
			break
		}
		l.widths[widest]--
	}
	for l.total() > width && len(l.columns) > 3 {
		l.leaveOut()
	}
}

func (l *layout) leaveOut() {
	middle := len(l.columns) / 2
	for k, c := range l.columns {
		if c == -1 { // one more beside those left out
			next := k + 1
			if len(l.columns)-k-1 < k {
				next = k - 1
			}
			l.remove(next)
			return
		}
	}
	l.columns[middle], l.widths[middle] = -1, 1
}

func (l *layout) remove(k int) {
	l.columns = append(l.columns[:k], l.columns[k+1:]...)
	l.widths = append(l.widths[:k], l.widths[k+1:]...)
}

func (l *layout) rule(b *strings.Builder, left, middle, right string) {
	b.WriteString(left)
	for k, w := range l.widths {
		if k > 0 {
			b.WriteString(middle)
		}
		b.WriteString(strings.Repeat("─", w+2))
	}
	b.WriteString(right + "\n")
}

// row draws one row; numbers stand at the right below their column's name.
func (l *layout) row(b *strings.Builder, cells []string, values bool) {
	for k, c := range l.columns {
		cell, right := "…", false
		if c >= 0 {
			cell, right = cells[c], l.right[c] && values
		}
		b.WriteString("│ " + fitted(cell, l.widths[k], right) + " ")
	}
	b.WriteString("│\n")
}

// gap stands for the rows that aren't shown.
func (l *layout) gap(b *strings.Builder) {
	for k := range l.columns {
		b.WriteString("│ " + fitted("·", l.widths[k], false) + " ")
	}
	b.WriteString("│\n")
}

// fitted is text in exactly so many cells.
func fitted(s string, width int, right bool) string {
	s = runewidth.Truncate(s, width, "…")
	pad := strings.Repeat(" ", max(width-runewidth.StringWidth(s), 0))
	if right {
		return pad + s
	}
	return s + pad
}
