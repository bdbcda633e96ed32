package format

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// guessBytes is how much of a text is looked at to guess its columns.
const guessBytes = 256 << 10

// guessColumns finds columns in the start of a part whose columns nobody
// declared: those of the first record for CSV, all as text; those of the first
// objects for JSON, with the types that all their values have. The part is
// made to begin at its start again.
func guessColumns(ctx context.Context, in processor.Input, part *processor.Part) ([]*pb.Column, error) {
	if part.Open == nil {
		return nil, nil
	}
	if in.Format == pb.Format_FORMAT_LINES {
		return lineColumns, nil
	}
	text, err := part.Open(ctx)
	if err != nil {
		return nil, err
	}
	head := make([]byte, guessBytes)
	n, err := io.ReadFull(text, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, errors.Join(err, text.Close())
	}
	head = head[:n]
	start := part.Offset
	if s, ok := text.(starter); ok {
		start = s.Start()
	}
	part.Open = func(context.Context) (io.ReadCloser, error) {
		return &again{io.MultiReader(bytes.NewReader(head), text), text, start}, nil
	}
	if in.Format == pb.Format_FORMAT_CSV {
		return guessCSV(head, in.Csv), nil
	}
	return guessJSON(head), nil
}

// again is text whose start was read before.
type again struct {
	io.Reader
	io.Closer
	start int64
}

// Start is where the text begins in its file.
func (a *again) Start() int64 { return a.start }

func guessCSV(head []byte, dialect *pb.Csv) []*pb.Column {
	r := NewCSV(bytes.NewReader(head), NewDialect(dialect), 0, guessBytes)
	if !r.Next() {
		return nil
	}
	var columns []*pb.Column
	for i := range r.Fields() {
		columns = append(columns, &pb.Column{Name: "column" + strconv.Itoa(i), Type: "VARCHAR"})
	}
	return columns
}

func guessJSON(head []byte) []*pb.Column {
	var columns []*pb.Column
	places := map[string]int{}
	l := NewLines(bytes.NewReader(head), 0, guessBytes)
	for l.Next() {
		if !isJSONObject(l.Bytes()) {
			continue
		}
		object(l.Bytes(), func(key, value []byte) {
			name := string(unquoted(key))
			i, known := places[name]
			if !known {
				i = len(columns)
				places[name] = i
				columns = append(columns, &pb.Column{Name: name})
			}
			columns[i].Type = wider(columns[i].Type, jsonType(value))
		})
	}
	for _, c := range columns {
		if c.Type == "" {
			c.Type = "VARCHAR"
		}
	}
	return columns
}

// jsonType is the type of one value; none for null.
func jsonType(value []byte) string {
	switch c := value[0]; {
	case c == 'n':
		return ""
	case c == 't', c == 'f':
		return "BOOLEAN"
	case c == '-', c >= '0' && c <= '9':
		if _, err := strconv.ParseInt(string(value), 10, 64); err == nil {
			return "BIGINT"
		}
		return "DOUBLE"
	}
	return "VARCHAR"
}

// wider is the type that holds values of both.
func wider(a, b string) string {
	numbers := map[string]bool{"BIGINT": true, "DOUBLE": true}
	switch {
	case a == b, b == "":
		return a
	case a == "":
		return b
	case numbers[a] && numbers[b]:
		return "DOUBLE"
	}
	return "VARCHAR"
}
