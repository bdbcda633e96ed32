package cli

import (
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// column is a column of a table for people.
type column struct {
	title string
	// spare says how soon the column is left out where there is no room: the
	// highest first, and never those of 0.
	spare int
	right bool // numbers
}

// table is what a command lists for people. It fits the terminal: columns that
// one can spare are left out, then the longest texts are cut.
type table struct {
	columns []column
	rows    [][]string
}

// add adds a row.
func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// terminalWidth is how wide the terminal is; 0 for what is none, which takes
// lines of any width.
func terminalWidth(file *os.File) int {
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// between stands between two columns.
const between = "  "

// How narrow a column may be cut, in cells, and how much of a text is worth to
// leave other columns out for.
const (
	minCut    = 8
	maxWanted = 24
)

// write writes the table in so many cells; in any number for 0.
func (t *table) write(to io.Writer, width int) error {
	shown, widths := t.fit(width)
	var b strings.Builder
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.title
	}
	t.line(&b, titles, shown, widths)
	for _, row := range t.rows {
		t.line(&b, row, shown, widths)
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// fit chooses the columns that there is room for, and how wide each is.
func (t *table) fit(width int) (shown []int, widths []int) {
	widths = make([]int, len(t.columns))
	var wanted []int // the ones that one can spare least first
	for i, c := range t.columns {
		widths[i] = utf8.RuneCountInString(c.title)
		empty := len(t.rows) > 0
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
			empty = empty && row[i] == ""
		}
		if !empty || c.spare == 0 {
			wanted = append(wanted, i)
		}
	}
	slices.SortStableFunc(wanted, func(a, b int) int { return t.columns[a].spare - t.columns[b].spare })
	room := width
	for _, i := range wanted {
		least := len(between) + widths[i]
		if !t.columns[i].right {
			least = min(least, len(between)+maxWanted)
		}
		if width == 0 || t.columns[i].spare == 0 || least <= room+len(between) {
			shown, room = append(shown, i), room-least
		}
	}
	slices.Sort(shown)
	for width > 0 && total(shown, widths) > width && cutWidest(shown, widths) {
	}
	return shown, widths
}

// total is how wide a line is.
func total(shown, widths []int) int {
	sum := len(between) * max(len(shown)-1, 0)
	for _, i := range shown {
		sum += widths[i]
	}
	return sum
}

// cutWidest makes the widest column a cell narrower, and says whether it could.
func cutWidest(shown, widths []int) bool {
	widest := slices.MaxFunc(shown, func(a, b int) int { return widths[a] - widths[b] })
	if widths[widest] <= minCut {
		return false
	}
	widths[widest]--
	return true
}

func (t *table) line(b *strings.Builder, cells []string, shown, widths []int) {
	var line strings.Builder
	for place, i := range shown {
		if place > 0 {
			line.WriteString(between)
		}
		text := clipped(cells[i], widths[i])
		padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text))
		if t.columns[i].right {
			text = padding + text
		} else {
			text += padding
		}
		line.WriteString(text)
	}
	b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}

// clipped is a text, made plain, in at most so many cells.
func clipped(text string, width int) string {
	text = plain(text)
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}
