package source

import (
	"context"
	"fmt"
	"io"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
)

// Sniffed is how the files of a source are written.
type Sniffed struct {
	// Format of all files; never unspecified.
	Format pb.Format
	// Csv is the dialect when Format is CSV, every field set.
	Csv *pb.Csv
	// Columns by name. Types are set for Parquet and Arrow (DuckDB's names),
	// VARCHAR for CSV; lines have line, file and offset; nil for JSON, whose
	// columns the SQL engine finds.
	Columns []*pb.Column
	// Notes for the user, a sentence each.
	Notes []string
}

// peekSize is how much of each file is looked at to know what it is.
const peekSize = 4 << 10

// Sniff finds the format, the compression and the dialect of a source's
// fragments, by name and content, and completes each fragment: its
// compression, unit, extent, and whether it must stay whole. All files are
// looked at: one that differs from the others (in its format, or in its
// columns unless they are united by name) is a *Problem that names two files.
//
// Names count first (.csv .tsv .psv .json .jsonl .ndjson .parquet .pq .arrow
// .feather .ipc .txt .log, with .gz .zst .bz2 behind them); a file with another
// name is what its content shows: Parquet, Arrow, JSON when its first line is
// an object, and lines otherwise. See the dialect's own notes for CSV.
func Sniff(ctx context.Context, src *pb.Source, fragments []*pb.Fragment, o Options) (*Sniffed, error) {
	s := &sniffer{ctx: ctx, source: src, fragments: fragments, options: o, traits: make([]traits, len(fragments))}
	err := each(ctx, len(fragments), o.threads(), func(i int) error { return s.peek(i) })
	if err != nil {
		return nil, err
	}
	if err := s.agree(); err != nil {
		return nil, err
	}
	if err := s.extents(); err != nil {
		return nil, err
	}
	return s.describe()
}

type sniffer struct {
	ctx       context.Context
	source    *pb.Source
	fragments []*pb.Fragment
	options   Options
	traits    []traits
	result    Sniffed
}

// peek looks at the start of one file.
func (s *sniffer) peek(i int) error {
	f := s.fragments[i]
	if f.GetUnit() == pb.Unit_UNIT_RECORDS {
		s.traits[i] = traits{format: s.source.GetFormat(), compression: pb.Compression_COMPRESSION_NONE}
		return nil
	}
	t := byName(f.GetPath())
	head, err := s.start(f, &t)
	if err != nil {
		return err
	}
	if isUTF16(head) && (s.source.GetFormat() == 0 || isText(s.source.GetFormat())) {
		return utf16Error(f.GetPath())
	}
	if t = t.merge(formatOf(head)); s.source.GetFormat() != 0 {
		t.format = s.source.GetFormat()
	}
	t.stream = len(head) > 0 && !strings.HasPrefix(string(head), "ARROW1")
	if table := t.format == pb.Format_FORMAT_CSV || t.format == pb.Format_FORMAT_JSON; table && isBareUTF16(head) {
		return utf16Error(f.GetPath())
	}
	switch t.format {
	case pb.Format_FORMAT_CSV:
		t.first = firstLine(head)
	case pb.Format_FORMAT_JSON:
		t.document = isDocument(head)
	}
	s.traits[i] = t
	return nil
}

// start reads the start of a file, decompressed, and finds its compression.
func (s *sniffer) start(f *pb.Fragment, t *traits) ([]byte, error) {
	file, err := openChecked(f, s.options)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	buf := make([]byte, min(peekSize, f.GetSizeBytes()))
	if n, err := file.ReadAt(buf, 0); n < len(buf) {
		return nil, unreadable(f.GetPath(), err)
	}
	t.compression = s.compression(f, buf)
	f.Compression = t.compression
	if t.compression == pb.Compression_COMPRESSION_NONE {
		return buf, nil
	}
	return s.decompressedStart(f)
}

func (s *sniffer) compression(f *pb.Fragment, head []byte) pb.Compression {
	if c := s.source.GetCompression(); c != pb.Compression_COMPRESSION_UNSPECIFIED {
		return c
	}
	if c := compressionOf(head); c != pb.Compression_COMPRESSION_NONE {
		return c
	}
	// What is called compressed and isn't empty must be: reading it will say
	// what is wrong with it.
	if c := byName(f.GetPath()).compression; c != 0 && len(head) > 0 {
		return c
	}
	return pb.Compression_COMPRESSION_NONE
}

func (s *sniffer) decompressedStart(f *pb.Fragment) ([]byte, error) {
	d, err := openCompressed(f, s.options)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	buf := make([]byte, peekSize)
	n, err := io.ReadFull(d, buf)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return buf[:n], err
}

// firstLine is the first line, where it is wholly in head; a longer one is
// read again when it matters.
func firstLine(head []byte) string {
	if isBOM(head) {
		head = head[3:]
	}
	line, _, found := strings.Cut(string(head), "\n")
	if !found && len(head) == peekSize {
		return ""
	}
	return strings.Clone(strings.TrimSuffix(line, "\r"))
}

// agree settles on one format for all files. Empty ones have no vote.
func (s *sniffer) agree() error {
	s.result.Format = s.source.GetFormat()
	leader := -1
	for i, t := range s.traits {
		if t.format == pb.Format_FORMAT_UNSPECIFIED {
			t.format = pb.Format_FORMAT_LINES
		}
		s.traits[i] = t
		if s.source.GetFormat() != 0 || s.fragments[i].GetSizeBytes() == 0 && s.fragments[i].GetUnit() == pb.Unit_UNIT_BYTES {
			continue
		}
		if leader < 0 {
			leader = i
		} else if t.format != s.traits[leader].format {
			return s.conflict(leader, i)
		}
	}
	switch {
	case s.result.Format != 0:
	case leader >= 0:
		s.result.Format = s.traits[leader].format
	case len(s.traits) > 0:
		s.result.Format = s.traits[0].format
	default:
		s.result.Format = pb.Format_FORMAT_LINES
	}
	return s.readable()
}

func (s *sniffer) conflict(i, j int) error {
	a, b := s.fragments[i].GetPath(), s.fragments[j].GetPath()
	return &Problem{Kind: Conflict, Path: a, Other: b, Text: fmt.Sprintf(
		"is %s, but %s is %s: name files of one format, or say the format", FormatName(s.traits[i].format), b, FormatName(s.traits[j].format))}
}

// readable refuses what no reader can do.
func (s *sniffer) readable() error {
	for i, t := range s.traits {
		f := s.fragments[i]
		if s.result.Format == pb.Format_FORMAT_PARQUET && (t.compression != pb.Compression_COMPRESSION_NONE || f.GetUnit() == pb.Unit_UNIT_RECORDS) {
			return &Problem{Kind: Unsupported, Path: f.GetPath(), Text: "Parquet is read from plain files only: decompress it first"}
		}
		if s.result.Format == pb.Format_FORMAT_ARROW && f.GetUnit() == pb.Unit_UNIT_RECORDS {
			return &Problem{Kind: Unsupported, Path: "source", Text: "inline records are text"}
		}
	}
	return nil
}

// FormatName is how people call a format.
func FormatName(f pb.Format) string {
	switch f {
	case pb.Format_FORMAT_CSV:
		return "CSV"
	case pb.Format_FORMAT_JSON:
		return "JSON"
	case pb.Format_FORMAT_PARQUET:
		return "Parquet"
	case pb.Format_FORMAT_ARROW:
		return "Arrow"
	}
	return "text lines"
}

// describe finds the columns.
func (s *sniffer) describe() (*Sniffed, error) {
	switch s.result.Format {
	case pb.Format_FORMAT_LINES:
		s.result.Columns = []*pb.Column{{Name: "line", Type: "VARCHAR"}, {Name: "file", Type: "VARCHAR"}, {Name: "offset", Type: "BIGINT"}}
	case pb.Format_FORMAT_JSON:
		s.noteDocuments()
	case pb.Format_FORMAT_CSV:
		if err := s.csv(); err != nil {
			return nil, err
		}
	}
	return &s.result, nil
}

// noteDocuments says it when a file isn't an object a line. That is no error:
// a program may well read it whole.
func (s *sniffer) noteDocuments() {
	for i, t := range s.traits {
		if t.document {
			s.result.Notes = append(s.result.Notes, s.fragments[i].GetPath()+
				" isn't one JSON object a line, as records must be: jq -c '.[]' makes lines of an array, jq -c . of an object.")
			return
		}
	}
}
