package attempt

import (
	"fmt"
	"syscall"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
)

func TestFailuresTellTheirInput(t *testing.T) {
	split := func(path string, from, to, extent int64, unit pb.Unit) *pb.Split {
		return &pb.Split{From: from, To: to, Source: &pb.Fragment{Path: path, Extent: extent, Unit: unit}}
	}
	whole := split("/a.csv", 0, 10, 10, pb.Unit_UNIT_BYTES)
	for _, c := range []struct {
		message string
		splits  []*pb.Split
		want    string
	}{
		{"it failed", nil, "it failed"},
		{"it failed", []*pb.Split{whole}, "it failed (input: /a.csv)"},
		{"/a.csv: it failed", []*pb.Split{whole}, "/a.csv: it failed"},
		{"it failed\n\nLINE 1: x\n        ^", []*pb.Split{whole}, "it failed (input: /a.csv)\n\nLINE 1: x\n        ^"},
		{"it failed", []*pb.Split{split("/a.csv", 5, 9, 10, pb.Unit_UNIT_BYTES)}, "it failed (input: /a.csv, bytes 5 to 9)"},
		{"it failed", []*pb.Split{split("/a.parquet", 0, 9, 10, pb.Unit_UNIT_ROWS)}, "it failed (input: /a.parquet, rows 0 to 9)"},
		{"it failed", []*pb.Split{split("", 2, 4, 10, pb.Unit_UNIT_RECORDS)}, "it failed (input: records 2 to 4)"},
		{"it failed", []*pb.Split{whole, split("/b.csv", 0, 1, 1, 0)}, "it failed (input: 2 files, from /a.csv to /b.csv)"},
	} {
		got := placed(&pb.Failure{Message: c.message}, nil, &pb.Lease{Splits: c.splits})
		if got.GetMessage() != c.want {
			t.Errorf("got %q, want %q", got.GetMessage(), c.want)
		}
	}
	full := fmt.Errorf("write: %w", syscall.ENOSPC)
	if got := placed(&pb.Failure{Message: "full"}, full, &pb.Lease{Splits: []*pb.Split{whole}}); got.GetMessage() != "full" {
		t.Errorf("got %q", got.GetMessage())
	}
	if placed(nil, nil, &pb.Lease{Splits: []*pb.Split{whole}}) != nil {
		t.Error("a failure was made of none")
	}
}
