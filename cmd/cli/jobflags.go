package cli

import (
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/millrace/millrace/api/millracev1"
)

// addJobFlags gives cmd all flags that say something of a job.
func addJobFlags(cmd *cobra.Command) *jobFlags {
	f := &jobFlags{cmd: cmd, apply: map[string]func(*pb.JobSpec){}}
	cmd.Flags().SortFlags = false
	f.processors()
	f.source()
	f.sink()
	f.cut()
	f.limits()
	f.command()
	return f
}

// spec says what the flags that were given say. Processors come first: other
// flags say more of the stages that they make.
func (f *jobFlags) spec(spec *pb.JobSpec) {
	for _, name := range []string{"sql", "command", "function"} {
		if f.cmd.Flags().Changed(name) {
			f.apply[name](spec)
		}
	}
	if f.anyChanged("batches", "batch-records", "batch-bytes") {
		batch(spec).Batches, batch(spec).Records, batch(spec).Bytes = 0, 0, 0
	}
	for name, apply := range f.apply {
		if f.cmd.Flags().Changed(name) && name != "sql" && name != "command" && name != "function" {
			apply(spec)
		}
	}
}

func (f *jobFlags) anyChanged(names ...string) bool { return f.changed(names...) > 0 }

// changed is how many of the flags were given.
func (f *jobFlags) changed(names ...string) int {
	n := 0
	for _, name := range names {
		if f.cmd.Flags().Changed(name) {
			n++
		}
	}
	return n
}

func (f *jobFlags) processors() {
	f.text("sql", "", "query", "run a query; FROM input is all of the input, FROM batch one micro-batch",
		func(s *pb.JobSpec, v string) { s.Stages = []*pb.Stage{{Processor: &pb.Stage_Sql{Sql: v}}} })
	f.text("command", "", "program", "run a program for each batch: records on its standard input, results on its output",
		func(s *pb.JobSpec, v string) { s.Stages = []*pb.Stage{{Processor: &pb.Stage_Command{Command: v}}} })
	f.text("function", "", "name", "call a function of this binary",
		func(s *pb.JobSpec, v string) { s.Stages = []*pb.Stage{{Processor: &pb.Stage_Function{Function: v}}} })
	f.text("name", "", "name", "name the job, for people", func(s *pb.JobSpec, v string) { s.Name = v })
}

func (f *jobFlags) source() {
	format, compression := pb.Format(0).Descriptor(), pb.Compression(0).Descriptor()
	f.enum("format", "f", "the input's format, if it can't be told from names and content", format,
		func(s *pb.JobSpec, v protoreflect.EnumNumber) { source(s).Format = pb.Format(v) })
	f.enum("compression", "", "the input's compression, likewise", compression,
		func(s *pb.JobSpec, v protoreflect.EnumNumber) { source(s).Compression = pb.Compression(v) })
	flag(f, "csv-delimiter", "", "byte", `the byte between fields (\t is a tab)`, oneByte,
		func(s *pb.JobSpec, v string) { csv(s).Delimiter = &v })
	flag(f, "csv-quote", "", "byte", "the byte around fields; '' for none", oneByte,
		func(s *pb.JobSpec, v string) { csv(s).Quote = &v })
	flag(f, "csv-escape", "", "byte", "the byte before a quote within a quoted field", oneByte,
		func(s *pb.JobSpec, v string) { csv(s).Escape = &v })
	f.boolean("csv-header", "the first line of each file names the columns (=false: it doesn't)",
		func(s *pb.JobSpec, v bool) { csv(s).Header = &v })
	f.boolean("union-by-name", "unite CSV files of different columns by name",
		func(s *pb.JobSpec, v bool) { csv(s).UnionByName = v })
	f.bytes("max-record", "the longest record allowed (16MiB)",
		func(s *pb.JobSpec, v int64) { source(s).MaxRecordBytes = &v })
}

func (f *jobFlags) sink() {
	f.text("output", "o", "folder", "write files into this folder, in place of standard output",
		func(s *pb.JobSpec, v string) { files(s).Folder = v })
	if err := f.cmd.MarkFlagDirname("output"); err != nil {
		panic(err) // a flag that is not there
	}
	f.boolean("overwrite", "remove what is in that folder, once the result is complete",
		func(s *pb.JobSpec, v bool) { files(s).Overwrite = v })
	f.boolean("single", "write one file in all, in place of one for each batch",
		func(s *pb.JobSpec, v bool) { files(s).Single = v })
}

func (f *jobFlags) cut() {
	f.count("batches", "cut the input into this many batches (by measured speed otherwise)", 64,
		func(s *pb.JobSpec, v uint64) { batch(s).Batches = v })
	f.count("batch-records", "cut it into batches of this many records", 64,
		func(s *pb.JobSpec, v uint64) { batch(s).Records = v })
	f.bytes("batch-bytes", "cut it into batches of about this size",
		func(s *pb.JobSpec, v int64) { batch(s).Bytes = v })
	f.count("batch-files", "let a batch hold as many whole files", 32,
		func(s *pb.JobSpec, v uint64) { batch(s).Files = uint32(v) })
	f.duration("delay", "process nothing before it is this old, from the start on (5s, 1m30s)",
		func(s *pb.JobSpec, v time.Duration) { s.Delay = durationpb.New(v) })
}

func (f *jobFlags) limits() {
	f.count("retries", "try a failed batch this many times more (3)", 32,
		func(s *pb.JobSpec, v uint64) { n := uint32(v); s.Retries = &n })
	f.duration("timeout", "kill an attempt at a batch after this time",
		func(s *pb.JobSpec, v time.Duration) { limits(s).BatchTimeout = durationpb.New(v) })
	f.duration("deadline", "fail the job when it is not done in this time",
		func(s *pb.JobSpec, v time.Duration) { limits(s).Deadline = durationpb.New(v) })
	f.count("skip-bad-records", "leave out and count up to this many bad records (0)", 64,
		func(s *pb.JobSpec, v uint64) { limits(s).SkipBadRecords = v })
	f.count("max-concurrency", "run at most this many batches at once", 32,
		func(s *pb.JobSpec, v uint64) { limits(s).MaxConcurrency = uint32(v) })
}

// sharing adds what says how a job shares a cluster with others.
func (f *jobFlags) sharing() {
	flag(f, "priority", "", "N", "serve it before jobs of lower priority (0; -1000 to 1000)", wholeNumber,
		func(s *pb.JobSpec, v int32) { s.Priority = v })
	flag(f, "weight", "", "number", "its share against jobs of the same priority (1)", fraction,
		func(s *pb.JobSpec, v float64) { s.Weight = &v })
	f.pairs("label", "run it on workers with this label only; of several labels, all",
		func(s *pb.JobSpec, v map[string]string) { s.Labels = merged(s.GetLabels(), v) })
}

func (f *jobFlags) command() {
	format := pb.Format(0).Descriptor()
	f.enum("command-format", "", "what the program reads, if not the input's own format", format,
		func(s *pb.JobSpec, v protoreflect.EnumNumber) {
			options(s, func(o *pb.CommandOptions) { o.InputFormat = pb.Format(v) })
		}, "parquet")
	f.enum("command-output", "", "what the program writes (lines)", format,
		func(s *pb.JobSpec, v protoreflect.EnumNumber) {
			options(s, func(o *pb.CommandOptions) { o.OutputFormat = pb.Format(v) })
		}, "parquet")
	flag(f, "ok-exit", "", "statuses", "the program's exit statuses that mean success (0), as in 0,1", statuses,
		func(s *pb.JobSpec, v []uint32) { options(s, func(o *pb.CommandOptions) { o.OkExit = v }) })
	f.boolean("shell", "give the program's line to /bin/sh -c",
		func(s *pb.JobSpec, v bool) { options(s, func(o *pb.CommandOptions) { o.Shell = v }) })
	f.boolean("warm", "keep one process for many batches, with Arrow on its standard input and output",
		func(s *pb.JobSpec, v bool) { options(s, func(o *pb.CommandOptions) { o.Warm = v }) })
	f.pairs("env", "give the program a variable",
		func(s *pb.JobSpec, v map[string]string) {
			options(s, func(o *pb.CommandOptions) { o.Env = merged(o.GetEnv(), v) })
		})
}

func merged(a, b map[string]string) map[string]string {
	all := make(map[string]string, len(a)+len(b))
	for _, m := range []map[string]string{a, b} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

// options changes the options of every command in the job. With no command the
// first stage gets them, and the check of the job says that they don't belong.
func options(spec *pb.JobSpec, change func(*pb.CommandOptions)) {
	changed := false
	for _, stage := range spec.GetStages() {
		if stage.GetCommand() != "" {
			changeOptions(stage, change)
			changed = true
		}
	}
	if !changed && len(spec.GetStages()) > 0 {
		changeOptions(spec.GetStages()[0], change)
	}
}

func changeOptions(stage *pb.Stage, change func(*pb.CommandOptions)) {
	if stage.CommandOptions == nil {
		stage.CommandOptions = &pb.CommandOptions{}
	}
	change(stage.CommandOptions)
}

// The parts of a job, made when they are not there.

func source(spec *pb.JobSpec) *pb.Source {
	if spec.Source == nil {
		spec.Source = &pb.Source{}
	}
	return spec.Source
}

func csv(spec *pb.JobSpec) *pb.Csv {
	if source(spec).Csv == nil {
		spec.Source.Csv = &pb.Csv{}
	}
	return spec.Source.Csv
}

func sink(spec *pb.JobSpec) *pb.Sink {
	if spec.Sink == nil {
		spec.Sink = &pb.Sink{}
	}
	return spec.Sink
}

func files(spec *pb.JobSpec) *pb.FileSink {
	if sink(spec).Files == nil {
		spec.Sink.Files = &pb.FileSink{}
	}
	return spec.Sink.Files
}

func batch(spec *pb.JobSpec) *pb.Batching {
	if spec.Batch == nil {
		spec.Batch = &pb.Batching{}
	}
	return spec.Batch
}

func limits(spec *pb.JobSpec) *pb.Limits {
	if spec.Limits == nil {
		spec.Limits = &pb.Limits{}
	}
	return spec.Limits
}
