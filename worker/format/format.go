// Package format turns text into records and records into text: it reads
// lines, CSV and JSON lines, and writes Arrow records as CSV, JSON lines,
// Parquet, Arrow, lines or a table for people. Where the bytes come from and
// where they go is decided elsewhere, and so is what a bad record leads to.
package format

import pb "github.com/millrace/millrace/api/millracev1"

// Skip is told of a bad record. It returns nil when the record may be left
// out, and otherwise the error to end with: Attempt.Skip is one.
type Skip func(bad *pb.BadRecord) error
