package api

import pb "github.com/millrace/millrace/api/millracev1"

// Check finds all that is wrong with a job that can be told from the job alone;
// none when it can be submitted. Paths name fields as a job file does.
func Check(spec *pb.JobSpec) Faults {
	c := &checker{}
	c.message("", spec.ProtoReflect())
	c.rules(spec)
	return c.faults
}
