// Package command runs programs over batches: records on standard input, results
// on standard output. What becomes of a program and all that it started, when it
// ends, fails, hangs or its worker dies, is decided here; in which format its
// input comes is decided in the plan.
//
// A program may say more on its standard error, a line each:
//
//	reporter:counter:NAME,DELTA
//	reporter:counter:GROUP,NAME,DELTA
//	reporter:status:TEXT
//
// Everything else that it writes there is kept, the last 8 KiB, for when it
// fails. In its environment are MILLRACE_JOB, MILLRACE_STAGE, MILLRACE_BATCH,
// MILLRACE_ATTEMPT, MILLRACE_POSITION and, when its batch is of one file,
// MILLRACE_FILE.
package command

import (
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// New makes the step that runs a program: one process for each batch, or a pool
// of warm ones.
func New(step *pb.CommandStep) processor.Step {
	p := newProgram(step)
	if step.GetOptions().GetWarm() {
		return &warm{program: p}
	}
	return p
}
