package wire

import (
	"maps"
	"slices"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
)

// Submission is a request of a user as the ledger sees it. The spec must have
// been checked.
func Submission(request ledger.RequestID, r *pb.SubmitJobRequest, user string) ledger.JobSubmitted {
	settings := Settings(r.GetSpec())
	settings.User = user
	settings.Keep = kept(r)
	settings.KeepFor = r.GetKeepFor().AsDuration()
	return ledger.JobSubmitted{
		Request:  request,
		Key:      r.GetKey(),
		Settings: settings,
		Spec:     marshal(r.GetSpec()),
		PlanOnly: r.GetPlanOnly(),
	}
}

// kept says whether the result of a job is to be kept: unless its client wants
// to read it as it is made, or there is none that workers hold.
func kept(r *pb.SubmitJobRequest) bool {
	streamed := r.KeepFor != nil && r.GetKeepFor().AsDuration() == 0
	return !streamed && !r.GetPlanOnly() && r.GetSpec().GetSink().GetFiles() == nil
}

// Spec is the job that Submission encoded.
func Spec(b []byte) *pb.JobSpec { return unmarshal[pb.JobSpec](b) }

// Settings is what the ledger must know of a job.
func Settings(spec *pb.JobSpec) ledger.Settings {
	limits := spec.GetLimits()
	s := ledger.Settings{
		Priority:       spec.GetPriority(),
		Weight:         spec.GetWeight(),
		Delay:          spec.GetDelay().AsDuration(),
		Deadline:       limits.GetDeadline().AsDuration(),
		BatchTimeout:   limits.GetBatchTimeout().AsDuration(),
		MaxAttempts:    api.DefaultRetries + 1,
		RetryBudget:    limits.GetRetryBudget(),
		SkipLimit:      limits.GetSkipBadRecords(),
		MaxConcurrency: limits.GetMaxConcurrency(),
		MaxSpoolBytes:  limits.GetMaxSpoolBytes(),
		Labels:         Labels(spec.GetLabels()),
		PlanRequires:   planRequires(spec.GetStages()),
	}
	if spec.Retries != nil {
		s.MaxAttempts = spec.GetRetries() + 1
	}
	return s
}

// Labels are labels by rising key.
func Labels(m map[string]string) []ledger.Label {
	labels := make([]ledger.Label, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		labels = append(labels, ledger.Label{Key: key, Value: m[key]})
	}
	return labels
}

// shell is the program that runs a command given as a shell's.
const shell = "/bin/sh"

// planRequires names the processors whose worker alone can plan for them: a
// query is derived by its engine, a function says itself what it emits, and what
// a program reads is found out where it may run.
func planRequires(stages []*pb.Stage) []string {
	var requires []string
	for _, s := range stages {
		switch p := s.GetProcessor().(type) {
		case *pb.Stage_Sql:
			requires = append(requires, "sql")
		case *pb.Stage_Function:
			requires = append(requires, "function:"+p.Function)
		case *pb.Stage_Command:
			requires = append(requires, "command:"+program(s))
		}
	}
	slices.Sort(requires)
	return slices.Compact(requires)
}

// program is the program of a stage that runs a command; one whose command
// can't be split was refused.
func program(s *pb.Stage) string {
	if s.GetCommandOptions().GetShell() {
		return shell
	}
	argv, err := api.SplitCommand(s.GetCommand())
	if err != nil {
		return s.GetCommand()
	}
	return argv[0]
}
