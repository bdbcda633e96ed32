package attempt

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/source"
)

// stages keeps the steps of stages between their batches, since some of them
// are dear to make: a database, a warm process.
type stages struct {
	make func(*pb.JobContext, *pb.Step) (processor.Step, error)

	mu   sync.Mutex
	open map[stageKey]*stage
}

// stageKey names the steps of a stage, or those that merge its outputs.
type stageKey struct {
	digest string
	merge  bool
}

type stage struct {
	job   uint64
	links []link
	pages source.Pages
	users int
	over  bool // close it with its last user
}

// use finds or makes the steps that a lease runs. Each use is released.
func (s *stages) use(job *pb.JobContext, kind pb.LeaseKind) (*stage, error) {
	key := stageKey{job.GetDigest(), kind == pb.LeaseKind_LEASE_KIND_MERGE}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.open[key]; st != nil {
		st.users++
		return st, nil
	}
	st := &stage{job: job.GetJob(), users: 1}
	make := func(step *pb.Step) (processor.Step, error) { return s.make(job, step) }
	if err := st.build(job.GetStage(), key.merge, make); err != nil {
		return nil, errors.Join(err, st.close())
	}
	if s.open == nil {
		s.open = map[stageKey]*stage{}
	}
	s.open[key] = st
	return st, nil
}

func (st *stage) build(plan *pb.StagePlan, merge bool, newStep func(*pb.Step) (processor.Step, error)) error {
	steps := plan.GetSteps()
	if merge {
		if plan.GetCombine() == nil {
			st.links = []link{{step: concat{}}}
			return nil
		}
		steps = []*pb.Step{plan.GetCombine()}
	}
	if len(steps) == 0 {
		st.links = []link{{step: concat{}}}
		return nil
	}
	for _, step := range steps {
		made, err := newStep(step)
		if err != nil {
			return err
		}
		st.links = append(st.links, link{step: made, format: written(step), encodes: step.GetEncode() != nil})
	}
	return nil
}

// written is the format of what a step writes when it writes bytes.
func written(step *pb.Step) pb.Format {
	format := pb.Format_FORMAT_UNSPECIFIED
	switch p := step.GetProcessor().(type) {
	case *pb.Step_Command:
		format = p.Command.GetOptions().GetOutputFormat()
	case *pb.Step_Encode:
		format = p.Encode.GetFormat()
	}
	if format == pb.Format_FORMAT_UNSPECIFIED {
		return pb.Format_FORMAT_LINES
	}
	return format
}

// checkPages fails when a Parquet file's own checksums say that it is damaged:
// what reads it would take what there is.
func (st *stage) checkPages(ctx context.Context, lease *pb.Lease, job *pb.JobContext, files source.Options) error {
	if job.GetPlan().GetFormat() != pb.Format_FORMAT_PARQUET {
		return nil
	}
	for _, split := range lease.GetSplits() {
		if err := st.pages.Check(ctx, split, files); err != nil {
			return err
		}
	}
	return nil
}

// tapped is the stage's links with the records that they make counted, and the
// output for the last of them. Records are counted before they are encoded.
func (st *stage) tapped(counted *tap) ([]link, processor.Output) {
	last := len(st.links) - 1
	if last == 0 || !st.links[last].encodes {
		return st.links, counted
	}
	final := counted.Output
	links := append([]link(nil), st.links...)
	before := &links[last-1]
	before.step = tapped{before.step, func(out processor.Output) processor.Output {
		counted.Output = out
		return counted
	}}
	return links, final
}

// release ends one use.
func (s *stages) release(st *stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.users--; st.users == 0 && st.over {
		st.closeLogged()
	}
}

// end closes the stages of a job, as soon as nobody uses them.
func (s *stages) end(job uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, st := range s.open {
		if st.job != job {
			continue
		}
		delete(s.open, key)
		if st.over = true; st.users == 0 {
			st.closeLogged()
		}
	}
}

func (s *stages) closeAll() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, st := range s.open {
		errs = append(errs, st.close())
	}
	clear(s.open)
	return errors.Join(errs...)
}

func (st *stage) closeLogged() {
	if err := st.close(); err != nil {
		slog.Warn("a stage did not close well", "job", st.job, "error", err)
	}
}

func (st *stage) close() error {
	var errs []error
	for _, l := range st.links {
		errs = append(errs, l.step.Close())
	}
	return errors.Join(errs...)
}
