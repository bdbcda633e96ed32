package command

import (
	"os"
	"strconv"
	"strings"

	"github.com/millrace/millrace/worker/processor"
)

// markName is the environment variable by which everything that a program
// starts is found again.
const markName = "MILLRACE_RUN"

// inherited is the worker's environment without what a batch sets.
func inherited(more map[string]string) []string {
	var env []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if _, set := more[name]; set || strings.HasPrefix(name, "MILLRACE_") {
			continue
		}
		env = append(env, entry)
	}
	for name, value := range more {
		env = append(env, name+"="+value)
	}
	return env
}

// environment is what a batch's program sees.
func (p *program) environment(a *processor.Attempt, in processor.Input, mark string) []string {
	base := p.base()
	env := append(make([]string, 0, len(base)+8), base...)
	env = append(env,
		"MILLRACE_JOB="+a.JobID,
		"MILLRACE_STAGE="+a.Stage,
		markName+"="+mark,
	)
	if p.step.GetOptions().GetWarm() {
		return env // it outlives the batch
	}
	env = append(env,
		"MILLRACE_BATCH="+strconv.FormatUint(a.Batch, 10),
		"MILLRACE_ATTEMPT="+strconv.FormatUint(uint64(a.Number), 10),
		"MILLRACE_POSITION="+strconv.FormatInt(a.Position, 10),
	)
	if file := oneFile(in); file != "" {
		env = append(env, "MILLRACE_FILE="+file)
	}
	return env
}

// oneFile is the file that a batch is of, when it is of one.
func oneFile(in processor.Input) string {
	if len(in.Parts) == 1 {
		return in.Parts[0].Name
	}
	return ""
}
