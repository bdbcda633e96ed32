package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	pb "github.com/millrace/millrace/api/millracev1"
)

// showAfter keeps the bar away from jobs that are done before one has looked.
const showAfter = 300 * time.Millisecond

// barWidth is how wide the bar itself is, in cells, and minBarWidth how narrow it
// may become before figures are left out. Below minRoom figures have it all.
const (
	barWidth    = 24
	minBarWidth = 12
	minRoom     = 40
)

// progress is the bar on a terminal. It is a writer too: what is written to it
// stands above the bar.
type progress struct {
	to    *os.File
	timer *time.Timer // starts the bar; nil when there will be none
	news  atomic.Pointer[news]

	mu      sync.Mutex
	bars    *mpb.Progress // nil unless shown
	bar     *mpb.Bar
	stopped bool
}

// news is what the bar shows. It is read by the bar's own goroutine, which must
// never wait for ours.
type news struct {
	job    *pb.Job // as last told
	told   time.Time
	saying func() string // in place of the job's progress
	ending string        // why it is being cancelled
	waits  string        // why nothing of it runs
}

func newProgress(to *os.File, wanted bool) *progress {
	p := &progress{to: to}
	p.news.Store(&news{})
	if wanted && term.IsTerminal(int(to.Fd())) {
		p.timer = time.AfterFunc(showAfter, p.show)
	}
	return p
}

func (p *progress) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	p.bars = mpb.New(mpb.WithOutput(p.to), mpb.WithWidth(barWidth), mpb.WithRefreshRate(100*time.Millisecond))
	p.bar = p.bars.New(0, mpb.BarStyle(),
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return p.news.Load().headline() })),
		mpb.AppendDecorators(decor.Any(func(s decor.Statistics) string { return p.news.Load().figures(s.AvailableWidth, time.Now()) })))
	p.advance()
}

// update tells how the job is.
func (p *progress) update(job *pb.Job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	said := p.news.Load()
	p.news.Store(&news{job: job, told: time.Now(), ending: said.ending, waits: said.waits})
	p.advance()
}

// say shows a text in place of a job's progress; nil ends that.
func (p *progress) say(text func() string) { p.news.Store(&news{saying: text}) }

// cancelling says that the job is about to end before its time.
func (p *progress) cancelling() {
	p.mu.Lock()
	defer p.mu.Unlock()
	said := *p.news.Load()
	said.ending = "cancelling "
	p.news.Store(&said)
}

// waits says why nothing of the job runs; nothing ends that.
func (p *progress) waits(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	said := *p.news.Load()
	said.waits = why
	p.news.Store(&said)
}

// shows says whether there is a bar.
func (p *progress) shows() bool { return p.timer != nil }

// advance moves the bar. It never completes by itself: stop removes it.
func (p *progress) advance() {
	if p.bar == nil {
		return
	}
	stats := p.news.Load().job.GetStats()
	p.bar.SetTotal(stats.GetPositionsTotal()+1, false)
	p.bar.SetCurrent(stats.GetPositionsDone())
}

// headline says what is being done.
func (n *news) headline() string {
	stats := n.job.GetStats()
	switch {
	case n.saying != nil:
		return n.saying() + " "
	case n.ending != "":
		return n.ending
	case n.job.GetPaused():
		return "paused "
	case n.waits != "":
		return "waiting "
	case n.job.GetState() <= pb.JobState_JOB_STATE_PLANNING:
		return "planning "
	case n.job.GetState() == pb.JobState_JOB_STATE_COMMITTING:
		return "moving files in place "
	}
	return fmt.Sprintf("%3d%% ", 100*stats.GetPositionsDone()/max(stats.GetPositionsTotal(), 1))
}

// figures are those beside the bar: as many as there is room for, in cells, and
// the most wanted ones first.
func (n *news) figures(room int, now time.Time) string {
	if n.job == nil {
		return ""
	}
	if room >= minRoom {
		room -= minBarWidth + 2
	}
	parts := n.parts(now)
	for len(parts) > 1 && len(strings.Join(parts, "  ")) > room-1 {
		parts = withoutLeast(parts)
	}
	text := strings.Join(parts, "  ")
	if n.waits != "" {
		text = clipped(text, max(room-1, minCut))
	}
	return " " + text
}

// withoutLeast leaves out the figure that one misses least: the last but one,
// since the last one is the time.
func withoutLeast(parts []string) []string {
	return slices.Delete(parts, len(parts)-2, len(parts)-1)
}

// parts are the figures that are known. Nothing is told of a speed before the
// first batch is done.
func (n *news) parts(now time.Time) []string {
	stats := n.job.GetStats()
	since := now.Sub(n.told)
	if n.waits != "" {
		return []string{n.waits}
	}
	elapsed := stats.GetElapsed().AsDuration() + since
	var parts []string
	if stats.GetBatchesDone() > 0 {
		counters, seconds := stats.GetCounters(), max(stats.GetElapsed().AsDuration().Seconds(), 0.001)
		parts = append(parts, count(stats.GetBatchesDone(), "batch", "batches"))
		if stats.GetRetries() > 0 {
			parts = append(parts, count(stats.GetRetries(), "retry", "retries"))
		}
		parts = append(parts, short(float64(counters.GetRecordsIn())/seconds)+" records/s",
			size(int64(float64(counters.GetBytesIn())/seconds))+"/s")
	} else if stats.GetRetries() > 0 {
		parts = append(parts, count(stats.GetRetries(), "retry", "retries"))
	}
	if left := stats.GetRemaining(); left != nil {
		return append(parts, max(left.AsDuration()-since, 0).Round(time.Second).String()+" left")
	}
	return append(parts, elapsed.Round(time.Second).String())
}

// stop takes the bar away, for good.
func (p *progress) stop() {
	p.mu.Lock()
	bars, bar := p.bars, p.bar
	p.bars, p.bar, p.stopped = nil, nil, true
	p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
	if bars != nil {
		bar.Abort(true)
		bars.Wait()
	}
}

// Write writes above the bar, or plainly when there is none.
func (p *progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	bars := p.bars
	p.mu.Unlock()
	if bars != nil {
		if n, err := bars.Write(text); err == nil {
			return n, nil
		}
	}
	return p.to.Write(text)
}
