package source

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	pb "github.com/millrace/millrace/api/millracev1"
)

// headed are the names in the header lines of all files: those of the first,
// which all others must share, or the union of all.
func (s *sniffer) headed() ([]string, error) {
	u := &union{sniffer: s, reader: NewReader(s.source, &pb.Plan{Format: pb.Format_FORMAT_CSV, Csv: s.result.Csv}, s.options)}
	if err := u.lead(); err != nil || u.leader < 0 {
		return nil, err
	}
	others := make([][]string, len(s.fragments))
	err := each(s.ctx, len(s.fragments), s.options.threads(), func(i int) (err error) {
		if i > u.leader {
			others[i], err = u.compare(i)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, names := range others {
		u.add(names)
	}
	return u.names, nil
}

// union gathers the names of all files' columns.
type union struct {
	sniffer *sniffer
	reader  *Reader
	leader  int
	first   []string // the leader's names
	names   []string

	mu    sync.Mutex
	known map[string][]string // names by first line
}

// lead finds the first file that has a header.
func (u *union) lead() error {
	u.known = map[string][]string{}
	for i := range u.sniffer.fragments {
		names, err := u.of(i)
		if err != nil {
			return err
		}
		if names != nil {
			u.leader, u.first, u.names = i, names, slices.Clone(names)
			return nil
		}
	}
	u.leader = -1
	return nil
}

// of are the names of one file; nil when it is empty.
func (u *union) of(i int) ([]string, error) {
	f, line := u.sniffer.fragments[i], u.sniffer.traits[i].first
	if f.GetSizeBytes() == 0 {
		return nil, nil
	}
	quote := u.sniffer.result.Csv.GetQuote()
	if line == "" || quote != "" && strings.Contains(line, quote) {
		return u.reader.fileNames(u.sniffer.ctx, &pb.Split{To: f.GetExtent(), Source: f})
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if names, ok := u.known[line]; ok {
		return names, nil
	}
	names := columnNames(firstRecord(u.reader.dialect, []byte(line)))
	const enough = 1000
	if len(u.known) < enough {
		u.known[strings.Clone(line)] = names
	}
	return names, nil
}

// compare returns the names of a file that differ from the leader's: nil when
// they are the same, and an error when they must be.
func (u *union) compare(i int) ([]string, error) {
	names, err := u.of(i)
	if err != nil || names == nil {
		return nil, err
	}
	d := difference(u.first, names)
	if d == "" {
		return nil, nil
	}
	if u.sniffer.result.Csv.GetUnionByName() {
		return names, nil
	}
	a, b := u.sniffer.fragments[u.leader].GetPath(), u.sniffer.fragments[i].GetPath()
	return nil, &Problem{Kind: Conflict, Path: a, Other: b, Text: fmt.Sprintf(
		"and %s have different columns: %s (csv.union_by_name unites them)", b, d)}
}

func (u *union) add(names []string) {
	for _, n := range names {
		if place(u.names, n) < 0 {
			u.names = append(u.names, n)
		}
	}
}

// place is where a column of a name is, in whatever case; -1 for nowhere.
func place(names []string, name string) int {
	return slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}
