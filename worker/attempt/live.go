package attempt

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// Live is the progress of a running attempt. Its zero value is ready.
type Live struct {
	records, bytes atomic.Int64
	maySkip        atomic.Uint64

	mu     sync.Mutex
	status string
	custom map[string]int64
	bad    []*pb.BadRecord
	nbad   int64
}

// Progress is how far the attempt is.
func (l *Live) Progress(fence *pb.Fence) *pb.Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &pb.Progress{Fence: fence, Records: l.records.Load(), Bytes: l.bytes.Load(), Status: l.status}
}

func (l *Live) read(records, bytes int64) {
	l.records.Add(records)
	l.bytes.Add(bytes)
}

func (l *Live) setStatus(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status = api.Clip(text, api.MaxProgressBytes)
}

// count adds to a counter; counters beyond the limit are dropped.
func (l *Live) count(name string, delta int64) {
	name = api.Clip(name, api.MaxCounterNameBytes)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.custom == nil {
		l.custom = map[string]int64{}
	}
	if _, known := l.custom[name]; !known && len(l.custom) >= api.MaxCounters {
		return
	}
	l.custom[name] += delta
}

// skip notes a bad record. Some more than the job allows are noted before it
// fails, so that its user sees more than one at a time.
func (l *Live) skip(bad *pb.BadRecord, limit uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nbad++
	if len(l.bad) < api.MaxBadRecords {
		l.bad = append(l.bad, api.ClipBadRecord(bad))
	}
	if uint64(l.nbad) > limit && l.nbad >= api.MaxBadRecords {
		return l.failure(limit)
	}
	return nil
}

// tooManySkipped is the failure of an attempt that skipped more than the job
// allows.
func (l *Live) tooManySkipped() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if limit := l.maySkip.Load(); uint64(l.nbad) > limit {
		return l.failure(limit)
	}
	return nil
}

func (l *Live) failure(limit uint64) error {
	first := l.bad[0]
	f := processor.Fatal("%s: %s; %s", place(first), first.GetReason(), counted(l.nbad, limit))
	f.Detail.BadRecords = l.bad
	return f
}

func place(bad *pb.BadRecord) string {
	switch {
	case bad.GetFile() == "":
		return "a bad record"
	case bad.GetOffset() < 0:
		return fmt.Sprintf("a bad record in %s", bad.GetFile())
	}
	return fmt.Sprintf("a bad record in %s at offset %d", bad.GetFile(), bad.GetOffset())
}

func counted(n int64, limit uint64) string {
	if limit == 0 {
		return fmt.Sprintf("%d bad so far, and the job skips none (say how many may be skipped to go on without them)", n)
	}
	return fmt.Sprintf("%d bad so far, and the job may skip only %d more", n, limit)
}

// skipped tells of the records that were left out; nil when there are none.
func (l *Live) skipped() *pb.Failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nbad == 0 {
		return nil
	}
	return &pb.Failure{Message: fmt.Sprintf("%d bad records were skipped", l.nbad), ExitStatus: -1, BadRecords: l.bad}
}

// counters completes what the attempt counted.
func (l *Live) counters(c *pb.Counters) *pb.Counters {
	if c == nil {
		c = &pb.Counters{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.RecordsIn, c.BytesIn, c.RecordsSkipped = l.records.Load(), l.bytes.Load(), l.nbad
	c.Custom = maps.Clone(l.custom)
	return c
}
