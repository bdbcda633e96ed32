package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a job, for its user to correct.
type Fault struct {
	// Path is the field, such as "stages[0].command"; empty for the job as a
	// whole.
	Path string
	// Problem says what is wrong with it: "is 5000".
	Problem string
	// Meant says what would be right: "at most 1000".
	Meant string
	// File, Line and Column say where it stands in a job file, from 1; Line is
	// 0 where the job is not from a file.
	File         string
	Line, Column int
}

// String is the fault as people read it: "job.yaml:3:11: priority is 5000: at
// most 1000".
func (f Fault) String() string {
	var b strings.Builder
	if f.Line > 0 {
		fmt.Fprintf(&b, "%s:%d:%d: ", f.File, f.Line, f.Column)
	}
	b.WriteString(cmp.Or(f.Path, "the job"))
	b.WriteString(" ")
	b.WriteString(f.Problem)
	if f.Meant != "" {
		b.WriteString(": " + f.Meant)
	}
	return b.String()
}

// Faults is all that is wrong with a job.
type Faults []Fault

// Error is a line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// sort puts faults in the order of the file, with equal ones told once.
func (f Faults) sort() Faults {
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(f)
}

// maxTold is how many faults a caller of a service is told: an error travels in
// the headers of an answer, which can't hold those of 100,000 files.
const maxTold = 100

// Invalid is the faults as an error for a caller of a service, or nil when there
// are none. Of very many it tells the first.
func (f Faults) Invalid() error {
	switch {
	case len(f) == 0:
		return nil
	case len(f) > maxTold:
		return Errorf(Invalid, "%v\nand %d more", f[:maxTold], len(f)-maxTold)
	}
	return Errorf(Invalid, "%v", f)
}
