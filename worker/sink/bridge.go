package sink

import (
	pb "github.com/millrace/millrace/api/millracev1"
)

// For is In for a process that works for its own user.
func For(spec *pb.Sink, format pb.Format, jobID string) *Folder {
	return In(nil, &pb.JobContext{Spec: &pb.JobSpec{Sink: spec}, Plan: &pb.Plan{ResultFormat: format}, JobId: jobID})
}

// Create is Begin where there is no marker.
func (f *Folder) Create(job uint64, worker, attempt string) *Writer {
	w, _ := f.Begin(job, worker, attempt)
	return w
}
