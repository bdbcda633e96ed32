package source

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/format"
)

// How a dialect is found.
const (
	// dialectFiles is how many files are looked at.
	dialectFiles = 16
	// dialectBytes is how much of each.
	dialectBytes = 64 << 10
	// agreement is the part of the records that must have the same number of
	// fields for a delimiter to be believed.
	agreement = 0.7
)

// csv finds the dialect and the columns of CSV files, from a sample of the
// first, the last, the largest and some files between.
//
// The delimiter is the one of , ; tab | that most records agree on (the one
// that the file's name stands for first). A quote is escaped by doubling it,
// unless records only come out even with a backslash. The first line names the
// columns when none of its fields is a number, a date or the like, and either
// a column below is of another kind, or the fields are short, all different
// and not repeated below; or when two files begin with the same such line.
func (s *sniffer) csv() error {
	texts, err := s.samples()
	if err != nil {
		return err
	}
	d := &pb.Csv{UnionByName: s.source.GetCsv().GetUnionByName()}
	s.result.Csv = d
	given := s.source.GetCsv()
	quote := `"`
	if given != nil && given.Quote != nil {
		quote = given.GetQuote()
	}
	d.Quote = &quote
	delimiter := given.GetDelimiter()
	if delimiter == "" {
		delimiter = s.delimiter(texts, quote)
	}
	d.Delimiter = &delimiter
	escape := given.GetEscape()
	if escape == "" {
		escape = escapeOf(texts, d)
	}
	d.Escape = &escape
	for i := range texts {
		texts[i].records = records(texts[i].text, d)
	}
	header := s.header(texts)
	if given != nil && given.Header != nil {
		header = given.GetHeader()
	}
	d.Header = &header
	return s.csvColumns(texts)
}

// sampled is the start of one file.
type sampled struct {
	fragment int
	text     []byte // whole lines, unless the file has no more
	records  [][]string
}

// samples reads the start of some files.
func (s *sniffer) samples() ([]sampled, error) {
	var out []sampled
	r := NewReader(s.source, &pb.Plan{Format: pb.Format_FORMAT_LINES}, s.options)
	for _, i := range spread(s.fragments, dialectFiles) {
		text, err := r.beginning(s.ctx, s.fragments[i], dialectBytes)
		if err != nil {
			return nil, err
		}
		if len(text) > 0 {
			out = append(out, sampled{fragment: i, text: text})
		}
	}
	return out, nil
}

// spread picks up to n fragments: the first, the last, the largest, and some
// between; none of the empty ones.
func spread(fragments []*pb.Fragment, n int) []int {
	var full []int
	largest := -1
	for i, f := range fragments {
		if f.GetUnit() == pb.Unit_UNIT_BYTES && f.GetSizeBytes() == 0 {
			continue
		}
		full = append(full, i)
		if largest < 0 || f.GetSizeBytes() > fragments[largest].GetSizeBytes() {
			largest = i
		}
	}
	if len(full) <= n {
		return full
	}
	picked := []int{largest}
	for k := range n {
		picked = append(picked, full[k*(len(full)-1)/(n-1)])
	}
	slices.Sort(picked)
	return slices.Compact(picked)
}

// records takes a text apart; its last record may be cut off, and is left out
// when there are others.
func records(text []byte, dialect *pb.Csv) [][]string {
	c := format.NewCSV(bytes.NewReader(text), format.NewDialect(dialect), 0, int64(len(text)))
	var out [][]string
	for c.Next() {
		if c.Empty() || c.Bad() != "" {
			continue
		}
		fields := make([]string, len(c.Fields()))
		for i, f := range c.Fields() {
			fields[i] = string(f)
		}
		out = append(out, fields)
	}
	return out
}

// delimiter picks the one that most records agree on.
func (s *sniffer) delimiter(texts []sampled, quote string) string {
	candidates := []byte{',', ';', '\t', '|'}
	if len(texts) > 0 {
		if named := s.traits[texts[0].fragment].delimiter; named != 0 {
			if even(texts, &pb.Csv{Delimiter: text(named), Quote: &quote}) >= agreement {
				return string(named)
			}
		}
	}
	best, score := byte(','), agreement
	for _, c := range candidates {
		if e := even(texts, &pb.Csv{Delimiter: text(c), Quote: &quote}); e > score {
			best, score = c, e
		}
	}
	return string(best)
}

func text(b byte) *string {
	s := string(rune(b))
	return &s
}

// even is the part of the records that have the number of fields that most
// have, if that is more than one; 0 otherwise.
func even(texts []sampled, dialect *pb.Csv) float64 {
	all, same := 0, 0
	for _, t := range texts {
		counts := map[int]int{}
		lines := records(t.text, dialect)
		for _, r := range lines {
			counts[len(r)]++
		}
		_, n := mode(counts)
		all += len(lines)
		same += n
	}
	if all == 0 {
		return 0
	}
	return float64(same) / float64(all)
}

// mode is the most frequent number of fields, and how often it is there; no
// times when it is a single field.
func mode(counts map[int]int) (fields, times int) {
	for f, n := range counts {
		if n > times || n == times && f > fields {
			fields, times = f, n
		}
	}
	if fields <= 1 {
		return fields, 0
	}
	return fields, times
}

// escapeOf is the quote itself, unless the text says otherwise.
func escapeOf(texts []sampled, d *pb.Csv) string {
	quote := d.GetQuote()
	if quote == "" {
		return ""
	}
	if !slices.ContainsFunc(texts, func(t sampled) bool { return bytes.Contains(t.text, []byte(`\`+quote)) }) {
		return quote
	}
	backslash := `\`
	with := &pb.Csv{Delimiter: d.Delimiter, Quote: d.Quote, Escape: &backslash}
	if faults(texts, with) < faults(texts, d) {
		return backslash
	}
	return quote
}

// faults counts records that break the rules, or have another number of fields
// than most.
func faults(texts []sampled, dialect *pb.Csv) int {
	n := 0
	for _, t := range texts {
		c := format.NewCSV(bytes.NewReader(t.text), format.NewDialect(dialect), 0, int64(len(t.text)))
		counts, total := map[int]int{}, 0
		for c.Next() {
			if c.Bad() != "" {
				n++
			}
			counts[len(c.Fields())]++
			total++
		}
		most := 0
		for _, k := range counts {
			most = max(most, k)
		}
		n += total - most
	}
	return n
}

// header finds whether first lines name the columns, by majority of the files
// that have more than one record.
func (s *sniffer) header(texts []sampled) bool {
	if s.fragments[0].GetUnit() == pb.Unit_UNIT_RECORDS {
		return false
	}
	yes, no := 0, 0
	for _, t := range texts {
		switch {
		case len(t.records) < 2:
		case isHeader(t.records):
			yes++
		default:
			no++
		}
	}
	switch {
	case sameStart(texts):
		return true
	case yes+no > 0:
		return yes >= no
	}
	return slices.ContainsFunc(texts, func(t sampled) bool { return isHeader(t.records) })
}

// sameStart says that two files begin with the same line of names.
func sameStart(texts []sampled) bool {
	seen := map[string]bool{}
	for _, t := range texts {
		if len(t.records) == 0 || !names(t.records[0]) {
			continue
		}
		line := strings.Join(t.records[0], "\x00")
		if seen[line] {
			return true
		}
		seen[line] = true
	}
	return false
}

// isHeader says that the first of some records names the columns.
func isHeader(records [][]string) bool {
	if len(records) == 0 || !names(records[0]) {
		return false
	}
	first, rest := records[0], records[1:]
	if len(rest) == 0 {
		return true
	}
	for i := range first {
		if typedBelow(rest, i) {
			return true
		}
	}
	if slices.ContainsFunc(first, func(name string) bool { return name != "" && count(first, name) > 1 }) {
		return false
	}
	for i, name := range first {
		for _, r := range rest {
			if i < len(r) && r[i] == name && len(first) > 1 && name != "" {
				return false
			}
		}
	}
	return true
}

// typedBelow says that most values of a column are of a kind that no name is.
func typedBelow(rest [][]string, i int) bool {
	typed, all := 0, 0
	for _, r := range rest {
		if i >= len(r) || r[i] == "" {
			continue
		}
		all++
		if isTyped(r[i]) {
			typed++
		}
	}
	return 2*typed > all
}

// names says that fields can be the names of columns.
func names(fields []string) bool {
	const longest = 128
	for _, f := range fields {
		if len(f) > longest || isTyped(f) {
			return false
		}
	}
	return len(fields) > 1 || fields[0] != ""
}

func count(fields []string, name string) int {
	n := 0
	for _, f := range fields {
		if f == name {
			n++
		}
	}
	return n
}

// csvColumns finds the names of the columns, and compares all files' with
// them.
func (s *sniffer) csvColumns(texts []sampled) error {
	names, err := s.numbered(texts)
	if s.result.Csv.GetHeader() {
		names, err = s.headed()
	}
	if err != nil {
		return err
	}
	for _, n := range names {
		s.result.Columns = append(s.result.Columns, &pb.Column{Name: n, Type: "VARCHAR"})
	}
	return nil
}

// numbered are the names of columns without a header.
func (s *sniffer) numbered(texts []sampled) ([]string, error) {
	leader, width := -1, 0
	for i, t := range texts {
		counts := map[int]int{}
		for _, r := range t.records {
			counts[len(r)]++
		}
		n, times := mode(counts)
		if times == 0 {
			n = min(1, len(t.records))
		}
		if n == 0 {
			continue
		}
		if leader < 0 {
			leader, width = i, n
		} else if n != width && !s.result.Csv.GetHeader() {
			a, b := s.fragments[texts[leader].fragment].GetPath(), s.fragments[t.fragment].GetPath()
			return nil, &Problem{Kind: Conflict, Path: a, Other: b, Text: fmt.Sprintf("has %s, but %s has %s", counted(width), b, counted(n))}
		}
	}
	return numberedNames(width), nil
}
