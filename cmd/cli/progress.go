package cli

import (
	"fmt"
	"os"
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

// barWidth is how wide the bar itself is, in cells.
const barWidth = 24

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
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return p.news.Load().figures() })))
	p.advance()
}

// update tells how the job is.
func (p *progress) update(job *pb.Job) {
	p.news.Store(&news{job: job, told: time.Now()})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
}

// say shows a text in place of a job's progress; nil ends that.
func (p *progress) say(text func() string) { p.news.Store(&news{saying: text}) }

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
	case n.job.GetPaused():
		return "paused "
	case n.job.GetState() <= pb.JobState_JOB_STATE_PLANNING:
		return "planning "
	case n.job.GetState() == pb.JobState_JOB_STATE_COMMITTING:
		return "moving files in place "
	}
	return fmt.Sprintf("%3d%% ", 100*stats.GetPositionsDone()/max(stats.GetPositionsTotal(), 1))
}

// figures are those beside the bar.
func (n *news) figures() string {
	if n.job == nil {
		return ""
	}
	stats := n.job.GetStats()
	seconds := max(stats.GetElapsed().AsDuration().Seconds(), 0.001)
	counters := stats.GetCounters()
	text := fmt.Sprintf(" %s  %s records/s  %s/s", count(stats.GetBatchesDone(), "batch", "batches"),
		short(float64(counters.GetRecordsIn())/seconds), size(int64(float64(counters.GetBytesIn())/seconds)))
	if stats.GetRetries() > 0 {
		text += "  " + count(stats.GetRetries(), "retry", "retries")
	}
	if left := stats.GetRemaining(); left != nil {
		text += "  " + max(left.AsDuration()-time.Since(n.told), 0).Round(time.Second).String() + " left"
	}
	return text
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
