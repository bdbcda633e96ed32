package agent

import (
	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

// maxReason bounds what is said of a folder that is not seen, in bytes.
const maxReason = 500

// look finds out whether this worker sees the output folder of a job. It is done
// beside all else, and nobody waits for it at the end: on a file system that
// hangs it never ends. Once it is under way for a job, whoever asks again gets
// its answer.
func (a *Agent) look(check *pb.SinkCheck) {
	job, known := check.GetJob(), a.contexts[check.GetContext()]
	if a.looking[job] || known == nil {
		return
	}
	a.looking[job] = true
	go func() {
		view, err := a.runner.Look(known)
		sight := &pb.SinkSight{Job: job, View: view}
		if err != nil {
			sight.Reason = api.Clip(err.Error(), maxReason)
		}
		a.knock(event{sight: sight})
	}()
}

// tellSight tells the coordinator of this session what a job's folder looks
// like. Where there is none, the next one asks again.
func (a *Agent) tellSight(sight *pb.SinkSight) {
	delete(a.looking, sight.GetJob())
	l := a.link
	if l == nil || !a.machine.Attached() {
		return
	}
	l.mu.Lock()
	l.sights = append(l.sights, sight)
	l.mu.Unlock()
	l.wakeUp()
}
