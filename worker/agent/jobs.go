package agent

import (
	"slices"

	pb "github.com/millrace/millrace/api/millracev1"
)

// endJobs cleans up after the jobs that are over, once nothing of theirs runs.
func (a *Agent) endJobs() {
	for job := range a.ending {
		if !a.runs(job) {
			delete(a.ending, job)
			a.endJob(job)
		}
	}
}

// endJob cleans up after a job: its outputs go at once, since nobody may have
// them any more; the rest beside the session, which must not wait for programs
// that take their time to end.
func (a *Agent) endJob(job uint64) {
	var known *pb.JobContext
	for digest, c := range a.contexts {
		if c.GetJob() == job {
			known = c
			delete(a.contexts, digest)
		}
	}
	a.spool.DropJob(job)
	a.workers.Add(1)
	go func() {
		defer a.workers.Done()
		if err := a.runner.EndJob(job, known); err != nil {
			a.log.Warn("files of a job could not be removed", "job", job, "error", err)
		}
	}()
}

// endRest cleans up after jobs whose end had to wait for what ran, and after all
// others where they end with the worker.
func (a *Agent) endRest() {
	if a.config.Alone {
		for _, job := range a.jobs() {
			a.ending[job] = true
		}
	}
	for job := range a.ending {
		a.endJob(job)
	}
	a.workers.Wait()
}

// jobs are those that the agent keeps anything of.
func (a *Agent) jobs() []uint64 {
	var jobs []uint64
	for _, c := range a.contexts {
		jobs = append(jobs, c.GetJob())
	}
	slices.Sort(jobs)
	return slices.Compact(jobs)
}

func (a *Agent) runs(job uint64) bool {
	return slices.ContainsFunc(a.running, func(r *running) bool { return uint64(r.fence.Job) == job })
}
