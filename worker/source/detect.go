package source

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
)

// traits is how one file is written, as far as its name and start tell.
type traits struct {
	format      pb.Format // unspecified: nothing says
	compression pb.Compression
	// delimiter that the name stands for; 0 for none.
	delimiter byte
	// byContent says that the content, not the name, told the format.
	byContent bool
	// first is the start of the first line, for CSV.
	first string
	// stream says that Arrow data isn't in the file format.
	stream bool
	// document says that JSON isn't an object a line.
	document bool
}

// byName is what a file's name says.
func byName(path string) traits {
	var t traits
	name := strings.ToLower(filepath.Base(path))
	ext := filepath.Ext(name)
	switch ext {
	case ".gz", ".gzip":
		t.compression = pb.Compression_COMPRESSION_GZIP
	case ".zst", ".zstd":
		t.compression = pb.Compression_COMPRESSION_ZSTD
	case ".bz2":
		t.compression = pb.Compression_COMPRESSION_BZIP2
	}
	if t.compression != 0 {
		ext = filepath.Ext(strings.TrimSuffix(name, ext))
	}
	switch ext {
	case ".csv":
		t.format = pb.Format_FORMAT_CSV
	case ".tsv", ".tab":
		t.format, t.delimiter = pb.Format_FORMAT_CSV, '\t'
	case ".psv":
		t.format, t.delimiter = pb.Format_FORMAT_CSV, '|'
	case ".json", ".jsonl", ".ndjson":
		t.format = pb.Format_FORMAT_JSON
	case ".parquet", ".pq":
		t.format = pb.Format_FORMAT_PARQUET
	case ".arrow", ".arrows", ".feather", ".ipc":
		t.format = pb.Format_FORMAT_ARROW
	case ".txt", ".log", ".text":
		t.format = pb.Format_FORMAT_LINES
	}
	return t
}

// compressionOf is what the first bytes of a file say.
func compressionOf(b []byte) pb.Compression {
	switch {
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
		return pb.Compression_COMPRESSION_GZIP
	case bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return pb.Compression_COMPRESSION_ZSTD
	case len(b) > 9 && bytes.HasPrefix(b, []byte("BZh")) && string(b[4:10]) == "1AY&SY":
		return pb.Compression_COMPRESSION_BZIP2
	}
	return pb.Compression_COMPRESSION_NONE
}

// formatOf is what the first decompressed bytes of a file say; unspecified for
// text of no certain sort.
func formatOf(b []byte) pb.Format {
	switch {
	case bytes.HasPrefix(b, []byte("PAR1")):
		return pb.Format_FORMAT_PARQUET
	case bytes.HasPrefix(b, []byte("ARROW1")), isArrowStream(b):
		return pb.Format_FORMAT_ARROW
	case isObject(b):
		return pb.Format_FORMAT_JSON
	}
	return pb.Format_FORMAT_UNSPECIFIED
}

// isArrowStream knows the start of an IPC stream: a continuation mark, and a
// length that is a multiple of 8.
func isArrowStream(b []byte) bool {
	return len(b) >= 8 && bytes.HasPrefix(b, []byte{0xff, 0xff, 0xff, 0xff}) && b[4]%8 == 0 && b[7] == 0
}

// isObject says that the first line is a JSON object (or its start, when the
// line is long).
func isObject(b []byte) bool {
	b = bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n")
	if len(b) == 0 || b[0] != '{' {
		return false
	}
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return json.Valid(b[:i])
	}
	if json.Valid(b) {
		return true
	}
	d := json.NewDecoder(bytes.NewReader(b))
	for {
		if _, err := d.Token(); err != nil {
			return len(b) > 1 && (err == io.EOF || err == io.ErrUnexpectedEOF)
		}
	}
}

// isDocument says that JSON text begins as an array, or as an object that
// goes on behind the first line.
func isDocument(b []byte) bool {
	b = bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n")
	line, _, _ := bytes.Cut(b, []byte("\n"))
	line = bytes.TrimSpace(line)
	return bytes.HasPrefix(line, []byte("[")) || string(line) == "{"
}

// merge is what a file is, by what its name and its content say; the content
// is right where they differ in a way that is certain.
func (t traits) merge(content pb.Format) traits {
	binary := func(f pb.Format) bool { return f == pb.Format_FORMAT_PARQUET || f == pb.Format_FORMAT_ARROW }
	switch {
	case content == pb.Format_FORMAT_UNSPECIFIED:
	case binary(content), t.format == pb.Format_FORMAT_UNSPECIFIED:
		t.format, t.byContent = content, true
	}
	return t
}
