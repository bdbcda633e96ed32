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
//
// A program ends with its batch, and everything that it started is killed then:
// its process group, and on Linux also what has left that. Should the worker be
// killed, a guard that outlives it does the same. Only a process that has
// cleared its environment escapes.
//
// # Warm programs
//
// A warm program is kept for many batches. Each is an Arrow IPC stream on its
// standard input, and is answered by one on its standard output; which batch it
// is stands in the schema's metadata, as millrace_batch, millrace_attempt,
// millrace_position and millrace_file. The input's end asks the program to end.
// In Python:
//
//	import sys, pyarrow as pa, pyarrow.compute as pc
//	source, sink = sys.stdin.buffer, sys.stdout.buffer
//	while source.peek(1):
//	    table = pa.ipc.open_stream(source).read_all()
//	    upper = pc.utf8_upper(table["line"])
//	    table = table.set_column(0, "line", upper)
//	    with pa.ipc.new_stream(sink, table.schema) as writer:
//	        writer.write_table(table)
//	    sink.flush()
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
