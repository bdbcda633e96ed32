package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	pb "github.com/millrace/millrace/api/millracev1"
)

// evil is a name that somebody gives so that who lists it sees something else.
const evil = "a\x1b[2J\a\rb\nstate     done\u202e"

// What others name does not get to the terminal of who looks at it.
func TestNamesOfOthersArePlain(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	a := &app{stdout: file, stderr: file}
	bad := []*pb.BadRecord{{File: evil, Reason: evil, Record: evil}}
	job := &pb.Job{
		Id: "a-1", Name: evil, User: evil, State: pb.JobState_JOB_STATE_FAILED, Notes: []string{evil},
		Failure: &pb.Failure{Message: evil, Signal: evil, BadRecords: bad},
		Stats:   &pb.JobStats{Skipped: bad, Counters: &pb.Counters{RecordsSkipped: 1}},
	}
	plan := &pb.Plan{
		Columns: []*pb.Column{{Name: evil, Type: evil}},
		Stages: []*pb.StagePlan{{
			Name: evil, Reason: evil, Requires: []string{evil},
			Steps: []*pb.Step{
				{Processor: &pb.Step_Sql{Sql: &pb.SqlStep{Query: evil}}},
				{Processor: &pb.Step_Command{Command: &pb.CommandStep{Argv: []string{"echo", evil}}}},
				{Processor: &pb.Step_Function{Function: &pb.FunctionStep{Name: evil}}},
			},
		}},
	}
	for _, err := range []error{
		a.tellJob(job, []string{evil}), a.tellJobs([]*pb.Job{job}, job.GetSubmitted().AsTime()),
		a.tellPlan(&pb.ExplainJobResponse{Plan: plan, Cutting: []string{evil}, Waiting: []string{evil}}, &pb.Job{Notes: []string{evil}}),
		a.tellWorkers([]*pb.Worker{{Name: evil, Labels: map[string]string{evil: evil}, Zone: evil, Reason: evil, DataAddresses: []string{evil}}}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	told, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(told)) {
		if strings.ContainsFunc(line, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }) || strings.HasPrefix(line, "state     done") {
			t.Errorf("%q", line)
		}
	}
}

// Why a job waits is said again when it is another reason, not when time goes by.
func TestReasonsWithoutTheirTimes(t *testing.T) {
	same := [2]string{"1 of 2 workers is busy; the first in 59m26.9s", "1 of 2 workers is busy; the first in 31ms"}
	if untimed(same[0]) != untimed(same[1]) || untimed("1 of 2 workers is busy") == untimed("2 of 2 workers are busy") {
		t.Errorf("%q, %q", untimed(same[0]), untimed(same[1]))
	}
}
