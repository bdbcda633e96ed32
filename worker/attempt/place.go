package attempt

import (
	"fmt"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/exchange"
)

// placed is a failure that tells which part of the source the attempt was
// about, unless it does already, or the place has nothing to do with it.
func placed(f *pb.Failure, err error, lease *pb.Lease) *pb.Failure {
	where := inputOf(lease.GetSplits())
	if f == nil || where == "" || len(f.GetBadRecords()) > 0 || exchange.IsFull(err) {
		return f
	}
	for _, split := range lease.GetSplits() {
		if path := split.GetSource().GetPath(); path != "" && strings.Contains(f.GetMessage(), path) {
			return f
		}
	}
	line, rest, more := strings.Cut(f.GetMessage(), "\n") // a query and a mark in it may follow
	f.Message = fmt.Sprintf("%s (input: %s)", line, where)
	if more {
		f.Message += "\n" + rest
	}
	return f
}

// inputOf names the input of a batch.
func inputOf(splits []*pb.Split) string {
	switch len(splits) {
	case 0:
		return ""
	case 1:
		return splitName(splits[0])
	}
	return fmt.Sprintf("%d files, from %s to %s", len(splits), splits[0].GetSource().GetPath(), splits[len(splits)-1].GetSource().GetPath())
}

// splitName is a file, with the range that was read where that is not all.
func splitName(s *pb.Split) string {
	source, unit := s.GetSource(), "bytes"
	switch source.GetUnit() {
	case pb.Unit_UNIT_ROWS:
		unit = "rows"
	case pb.Unit_UNIT_RECORDS:
		unit = "records"
	}
	span := fmt.Sprintf("%s %d to %d", unit, s.GetFrom(), s.GetTo())
	switch {
	case source.GetPath() == "":
		return span
	case s.GetFrom() == 0 && s.GetTo() >= source.GetExtent():
		return source.GetPath()
	}
	return source.GetPath() + ", " + span
}
