package cli

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/millrace/millrace/api/millracev1"
)

// What there is no room for is left out whole, and the time is kept.
func TestFigures(t *testing.T) {
	now := time.Unix(100, 0)
	running := &news{told: now.Add(-time.Second), job: &pb.Job{
		State: pb.JobState_JOB_STATE_RUNNING,
		Stats: &pb.JobStats{
			BatchesDone: 3, Retries: 1, Counters: &pb.Counters{RecordsIn: 5000, BytesIn: 2_000_000},
			Elapsed: durationpb.New(2 * time.Second), Remaining: durationpb.New(9 * time.Second),
		},
	}}
	begun := &news{told: now.Add(-time.Second), job: &pb.Job{
		State: pb.JobState_JOB_STATE_RUNNING, Stats: &pb.JobStats{Elapsed: durationpb.New(2 * time.Second)},
	}}
	for _, test := range []struct {
		news *news
		room int
		want string
	}{
		{running, 200, " 3 batches  1 retry  2.5k records/s  1.0 MB/s  8s left"},
		{running, 62, " 3 batches  1 retry  2.5k records/s  8s left"},
		{running, 39, " 3 batches  1 retry  8s left"},
		{running, 5, " 8s left"},
		{begun, 200, " 3s"},
		{&news{}, 200, ""},
		{&news{job: begun.job, waits: "no worker is attached"}, 60, " no worker is attached"},
		{&news{job: begun.job, waits: "no worker is attached"}, 12, " no worker …"},
	} {
		if got := test.news.figures(test.room, now); got != test.want {
			t.Errorf("in %d cells: %q, want %q", test.room, got, test.want)
		}
	}
}

func TestCancellingStays(t *testing.T) {
	p := &progress{}
	p.news.Store(&news{})
	p.cancelling()
	p.update(&pb.Job{State: pb.JobState_JOB_STATE_RUNNING})
	if got := p.news.Load().headline(); got != "cancelling " {
		t.Errorf("the headline is %q", got)
	}
}

func TestWrapped(t *testing.T) {
	const list = "done in 1s: 2 batches, 4 records, batch size 2 records, peak memory 9 MB"
	for width, want := range map[int]string{
		200: list,
		50:  "done in 1s: 2 batches, 4 records,\n  batch size 2 records, peak memory 9 MB",
		30:  "done in 1s: 2 batches,\n  4 records,\n  batch size 2 records,\n  peak memory 9 MB",
	} {
		if got := wrapped(list, width); got != want {
			t.Errorf("in %d cells: %q, want %q", width, got, want)
		}
	}
}
