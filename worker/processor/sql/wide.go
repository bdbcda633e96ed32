package sql

import (
	"bytes"
	"fmt"

	"github.com/millrace/millrace/worker/format"
)

// muchTooWide is how many fields more than there are columns make a record bad
// without asking DuckDB. It notes an error, with a copy of the whole record, for
// each field too many, and would take for ever over a long line of binary data.
const muchTooWide = 100

// widthFault is what is wrong with a record that has far too many fields; empty
// for any other.
func widthFault(d *format.Dialect, record []byte, columns int) string {
	if bytes.Count(record, []byte{d.Delimiter}) < columns+muchTooWide {
		return ""
	}
	fields, state := 1, format.RecordStart
	for _, b := range record {
		if state = d.Step(state, b); state == format.FieldStart {
			fields++
		}
	}
	if fields < columns+muchTooWide {
		return ""
	}
	return fmt.Sprintf("Expected Number of Columns: %d Found: %d", columns, fields)
}

// withoutWide is a sample without the records that have far too many fields.
func withoutWide(d *format.Dialect, sample []byte, columns int) []byte {
	var kept []byte
	copied := 0
	for from := 0; from < len(sample); {
		to := len(sample)
		if n := d.RecordEnd(sample[from:]); n >= 0 {
			to = from + n
		}
		if widthFault(d, sample[from:to], columns) != "" {
			kept, copied = append(kept, sample[copied:from]...), to
		}
		from = to
	}
	if copied == 0 {
		return sample
	}
	return append(kept, sample[copied:]...)
}
