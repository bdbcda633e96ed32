//go:build cgo

package derive

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// tolerance is the relative difference allowed between floats that are sums of
// other floats: these depend on the order of the additions.
const tolerance = 1e-9

// differ says how two answers differ; empty if they don't. Rows are compared as
// they come when ordered, and as a bag otherwise.
func differ(want, got *answer, ordered bool) string {
	if fmt.Sprint(want.columns) != fmt.Sprint(got.columns) {
		return fmt.Sprintf("columns: want %v, got %v", want.columns, got.columns)
	}
	if len(want.rows) != len(got.rows) {
		return fmt.Sprintf("rows: want %d, got %d\n%v\n%v", len(want.rows), len(got.rows), head(want.rows), head(got.rows))
	}
	a, b := want.rows, got.rows
	if !ordered {
		a, b = sorted(want), sorted(got)
	}
	for i := range a {
		for j := range a[i] {
			if !alike(want.columns[j][1], a[i][j], b[i][j]) {
				return fmt.Sprintf("row %d, column %d: want %q, got %q", i, j, a[i], b[i])
			}
		}
	}
	return ""
}

func head(rows [][]string) [][]string { return rows[:min(len(rows), 10)] }

func isFloat(kind string) bool { return kind == "DOUBLE" || kind == "FLOAT" }

// sorted orders rows by what is exact first.
func sorted(a *answer) [][]string {
	key := func(row []string) string {
		var exact, floats []string
		for i, v := range row {
			if f, err := strconv.ParseFloat(v, 64); err == nil && isFloat(a.columns[i][1]) {
				floats = append(floats, fmt.Sprintf("%.6g", f+0))
			} else {
				exact = append(exact, v)
			}
		}
		return strings.Join(exact, "\x00") + "\x01" + strings.Join(floats, "\x00")
	}
	rows := slices.Clone(a.rows)
	slices.SortFunc(rows, func(x, y []string) int { return strings.Compare(key(x), key(y)) })
	return rows
}

func alike(kind, a, b string) bool {
	if a == b {
		return true
	}
	return isFloat(kind) && within(tolerance, a, b)
}

// within says whether two floats differ by no more than a part of the larger.
func within(part float64, a, b string) bool {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errX != nil || errY != nil {
		return false
	}
	if math.IsNaN(x) && math.IsNaN(y) {
		return true
	}
	return math.Abs(x-y) <= part*math.Max(math.Abs(x), math.Abs(y))
}
