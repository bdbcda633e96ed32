package source

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/worker/format"
)

// columnNames makes the names of columns from a header line as DuckDB does: an
// empty one is called by its place, and one that was there before, in whatever
// case, gets a number.
func columnNames(header []string) []string {
	used := map[string]int{}
	names := make([]string, len(header))
	for i, name := range header {
		if name == "" {
			name = "column" + strconv.Itoa(i)
		}
		for {
			n, taken := used[strings.ToLower(name)]
			if !taken {
				break
			}
			used[strings.ToLower(name)] = n + 1
			name += "_" + strconv.Itoa(n+1)
		}
		used[strings.ToLower(name)] = 0
		names[i] = name
	}
	return names
}

// numberedNames are the names of n columns without a header.
func numberedNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = "column" + strconv.Itoa(i)
	}
	return names
}

// firstRecord is the values of the first record of text without a byte order
// mark.
func firstRecord(d *format.Dialect, text []byte) []string {
	c := format.NewCSV(strings.NewReader(string(text)), d, 0, int64(len(text)))
	if !c.Next() {
		return nil
	}
	var fields []string
	for _, f := range c.Fields() {
		fields = append(fields, string(f))
	}
	return fields
}

// difference tells how the columns of one file differ from those of another.
func difference(a, b []string) string {
	if len(a) != len(b) {
		return fmt.Sprintf("%s and %s (%s)", counted(len(a)), counted(len(b)), missingNames(a, b))
	}
	for i := range a {
		if a[i] != b[i] {
			return fmt.Sprintf("column %d is called %q in one and %q in the other", i+1, a[i], b[i])
		}
	}
	return ""
}

func counted(n int) string {
	if n == 1 {
		return "1 column"
	}
	return strconv.Itoa(n) + " columns"
}

func missingNames(a, b []string) string {
	if len(a) > len(b) {
		return missingNames(b, a)
	}
	for _, name := range b {
		if !slices.Contains(a, name) {
			return fmt.Sprintf("%q is in one only", name)
		}
	}
	return "a name is repeated"
}
