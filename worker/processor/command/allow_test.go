package command

import (
	"errors"
	"slices"
	"strings"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

func TestAllowed(t *testing.T) {
	some := Allowed{"sort", "/opt/tool", "./here"}
	for _, c := range []struct {
		allowed Allowed
		argv    string
		shell   bool
		env     string
		refused string // a part of the message; nothing when it is allowed
	}{
		{some, "sort -u", false, "", ""},
		{some, "sort", false, "LC_ALL", ""},
		{some, "/opt/tool", false, "", ""},
		{some, "./here", false, "", ""},
		{some, "/usr/bin/sort", false, "", "allows sort, /opt/tool, ./here"},
		{some, "tool", false, "", `"tool"`},
		{some, "/opt/../opt/tool", false, "", "/opt/../opt/tool"},
		{some, "sort", true, "", "/bin/sh"},
		{some, "*", false, "", `"*"`},
		{some, "", false, "", `""`},
		{some, "sort", false, "LD_PRELOAD", "LD_PRELOAD"},
		{some, "sort", false, "PATH", "PATH"},
		{Allowed{"/bin/sh"}, "sort", true, "", ""},
		{Allowed{"/bin/sh"}, "sort", true, "BASH_ENV", "BASH_ENV"},
		{nil, "true", false, "", "allows none"},
		{Allowed{Any}, "anything", true, "LD_PRELOAD", ""},
	} {
		step := &pb.CommandStep{Argv: strings.Fields(c.argv), Options: &pb.CommandOptions{Shell: c.shell}}
		if c.env != "" {
			step.Options.Env = map[string]string{c.env: "x"}
		}
		err := c.allowed.Check(step)
		var failure *processor.Failure
		switch {
		case c.refused == "" && err != nil:
			t.Errorf("%v %q: %v", c.allowed, c.argv, err)
		case c.refused != "" && (!errors.As(err, &failure) || failure.Class != pb.OutcomeClass_OUTCOME_CLASS_UNABLE || !strings.Contains(err.Error(), c.refused)):
			t.Errorf("%v %q: %v, want %q", c.allowed, c.argv, err, c.refused)
		}
	}
}

func TestWhatAWorkerSaysThatItRuns(t *testing.T) {
	if got := (Allowed{"b", "a", "b"}).Processors(); !slices.Equal(got, []string{"command:a", "command:b"}) {
		t.Error(got)
	}
	if got := (Allowed{"b", Any}).Processors(); !slices.Equal(got, []string{"command:*"}) {
		t.Error(got)
	}
}
