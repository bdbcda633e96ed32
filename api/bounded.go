package api

import (
	"strings"
	"unicode/utf8"

	pb "github.com/millrace/millrace/api/millracev1"
)

// The limits of what workers tell of a batch, in bytes where they are not
// counts. Programs, file names and records decide what the texts hold: a worker
// clips them, since a message that is too long or not UTF-8 would break its
// session again and again, and the coordinator clips them, since it keeps them.
const (
	MaxFailureBytes       = 16 << 10
	MaxDetailBytes        = 8 << 10
	MaxBadRecords         = 20
	MaxBadRecordBytes     = 200
	MaxReasonBytes        = 1 << 10
	MaxCounters           = 100
	MaxCounterNameBytes   = 100
	MaxProgressBytes      = 200
	maxSignalBytes        = 64
	maxBadRecordFileBytes = maxPathBytes
)

// Clip is the start of a text, as valid UTF-8 of at most so many bytes.
func Clip(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// ClipFailure is a failure within its limits, nil for nil. The one given stays
// as it is.
func ClipFailure(f *pb.Failure) *pb.Failure {
	if f == nil {
		return nil
	}
	clipped := &pb.Failure{
		Message: Clip(f.GetMessage(), MaxFailureBytes), ExitStatus: f.GetExitStatus(),
		Signal: Clip(f.GetSignal(), maxSignalBytes), Detail: Clip(f.GetDetail(), MaxDetailBytes),
	}
	bad := f.GetBadRecords()
	for _, record := range bad[:min(len(bad), MaxBadRecords)] {
		clipped.BadRecords = append(clipped.BadRecords, ClipBadRecord(record))
	}
	return clipped
}

// ClipBadRecord is a bad record within its limits. The one given stays as it is.
func ClipBadRecord(bad *pb.BadRecord) *pb.BadRecord {
	return &pb.BadRecord{
		File: Clip(bad.GetFile(), maxBadRecordFileBytes), Offset: bad.GetOffset(),
		Record: Clip(bad.GetRecord(), MaxBadRecordBytes), Reason: Clip(bad.GetReason(), MaxReasonBytes),
	}
}
