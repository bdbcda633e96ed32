package api

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
)

// rules are those that no bound of a single field tells.
func (c *checker) rules(spec *pb.JobSpec) {
	c.source(spec.GetSource())
	c.stages(spec.GetStages())
	c.sink(spec.GetSink())
	c.batching(spec.GetBatch())
}

// meantSource says what a source is.
const meantSource = "one of files, stdin, records and range"

func (c *checker) source(s *pb.Source) {
	if s == nil {
		c.add("source", "is missing", "say where the records come from, with "+meantSource)
		return
	}
	switch kinds := sourceKinds(s); {
	case len(kinds) == 0:
		c.add("source", "is empty", meantSource)
	case len(kinds) > 1:
		c.add("source", "has "+strings.Join(kinds, " and "), "only "+meantSource)
	}
	c.files(s)
	c.inline(s)
	c.csv(s)
}

func sourceKinds(s *pb.Source) []string {
	var kinds []string
	for _, kind := range []struct {
		name string
		set  bool
	}{
		{"files", len(s.GetFiles()) > 0},
		{"stdin", s.GetStdin()},
		{"records", len(s.GetRecords()) > 0},
		{"range", s.GetRange() != nil},
	} {
		if kind.set {
			kinds = append(kinds, kind.name)
		}
	}
	return kinds
}

func (c *checker) files(s *pb.Source) {
	for i, file := range s.GetFiles() {
		if file == "" {
			c.add(fmt.Sprintf("source.files[%d]", i), "is empty", "a file, a folder or a pattern")
		}
	}
}

// inline checks records and range: both are lines.
func (c *checker) inline(s *pb.Source) {
	size := 0
	for i, record := range s.GetRecords() {
		size += len(record)
		if strings.ContainsAny(record, "\n") {
			c.add(fmt.Sprintf("source.records[%d]", i), "holds a newline", "one record, one line")
		}
	}
	if size > MaxInlineBytes {
		c.add("source.records", fmt.Sprintf("have %d bytes", size),
			fmt.Sprintf("at most %d in all; put them in a file", MaxInlineBytes))
	}
	if r := s.GetRange(); r.GetTo() < r.GetFrom() {
		c.add("source.range", fmt.Sprintf("runs from %d to %d", r.GetFrom(), r.GetTo()), "to must be at least from")
	} else if r.GetTo()-r.GetFrom() < 0 {
		c.add("source.range", "is too long", "at most 9223372036854775807 integers")
	}
	if s.GetRange() != nil && s.GetFormat() > pb.Format_FORMAT_LINES {
		c.add("source.format", "is "+enumName(s.GetFormat()), "a range is lines")
	}
	if len(s.GetRecords()) > 0 && s.GetFormat() > pb.Format_FORMAT_JSON {
		c.add("source.format", "is "+enumName(s.GetFormat()), "records are lines, csv or json")
	}
}

func (c *checker) csv(s *pb.Source) {
	csv := s.GetCsv()
	if csv == nil {
		return
	}
	if f := s.GetFormat(); f != pb.Format_FORMAT_CSV && f != pb.Format_FORMAT_UNSPECIFIED {
		c.add("source.csv", "is given for format "+enumName(f), "leave it out, or say format csv")
	}
	for _, field := range []struct{ name, value string }{
		{"delimiter", csv.GetDelimiter()}, {"quote", csv.GetQuote()}, {"escape", csv.GetEscape()},
	} {
		if strings.ContainsAny(field.value, "\r\n\x00") {
			c.add("source.csv."+field.name, "is "+quoted(field.value), "a byte that is no end of a line")
		}
	}
	if csv.GetDelimiter() != "" && csv.GetDelimiter() == csv.GetQuote() {
		c.add("source.csv.quote", "is the delimiter too", "two different bytes")
	}
}

func (c *checker) stages(stages []*pb.Stage) {
	if len(stages) == 0 {
		c.add("stages", "are missing", "say what is done to the records: a list, each entry with one of sql, command and function")
	}
	names := make(map[string]int, len(stages))
	for i, stage := range stages {
		at := fmt.Sprintf("stages[%d]", i)
		c.stage(at, stage)
		c.reads(at, stages, i)
		if first, taken := names[stage.GetName()]; taken && stage.GetName() != "" {
			c.add(at+".name", "is "+quoted(stage.GetName()), fmt.Sprintf("stages[%d] has that name already", first))
		} else {
			names[stage.GetName()] = i
		}
	}
	if len(stages) > 0 && stages[0].GetExchange() == pb.Exchange_EXCHANGE_COLLECT {
		c.add("stages[0].exchange", "is collect", "the first stage reads the source; for one batch say batches: 1 under batch")
	}
}

func (c *checker) stage(at string, stage *pb.Stage) {
	switch p := stage.GetProcessor().(type) {
	case nil:
		c.add(at, "has no processor", "one of sql, command and function")
	case *pb.Stage_Sql:
		c.blank(at+".sql", p.Sql)
	case *pb.Stage_Command:
		c.blank(at+".command", p.Command)
		c.splits(at+".command", p.Command, stage.GetCommandOptions())
	case *pb.Stage_Function:
		c.blank(at+".function", p.Function)
	}
	if options := stage.GetCommandOptions(); options != nil {
		c.command(at, stage, options)
	}
}

// blank finds text that is spaces only; what is empty was found by its bound.
func (c *checker) blank(at, text string) {
	if text != "" && strings.TrimSpace(text) == "" {
		c.add(at, "is blank", "give it a value")
	}
}

// splits finds a program's line that can't be split into words.
func (c *checker) splits(at, line string, options *pb.CommandOptions) {
	if options.GetShell() || strings.TrimSpace(line) == "" {
		return
	}
	switch _, err := SplitCommand(line); {
	case errors.Is(err, errOpenQuote):
		c.add(at, "has a quote that is never closed", "close it, or escape it with a backslash")
	case errors.Is(err, errLastEscape):
		c.add(at, "ends in a backslash", "it escapes nothing there: leave it out, or write two")
	}
}

func (c *checker) command(at string, stage *pb.Stage, options *pb.CommandOptions) {
	at += ".command_options"
	if _, ok := stage.GetProcessor().(*pb.Stage_Command); !ok && stage.GetProcessor() != nil {
		c.add(at, "are given to a stage that is no command", "leave them out")
	}
	for i, status := range options.GetOkExit() {
		if status > MaxExitStatus {
			c.add(fmt.Sprintf("%s.ok_exit[%d]", at, i), fmt.Sprintf("is %d", status), fmt.Sprintf("0 to %d", MaxExitStatus))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(options.GetEnv())) {
		if strings.ContainsAny(name, "=\x00") {
			c.add(join(at+".env", name), "has = in its name", "a name without it")
		}
	}
	if options.GetInputFormat() == pb.Format_FORMAT_PARQUET {
		c.add(at+".input_format", "is parquet", "lines, csv, json or arrow: a program reads a stream")
	}
	if options.GetOutputFormat() == pb.Format_FORMAT_PARQUET {
		c.add(at+".output_format", "is parquet", "lines, csv, json or arrow: a program writes a stream")
	}
	if options.GetWarm() {
		c.warm(at, options)
	}
}

// warm checks a process that is kept: it speaks Arrow both ways.
func (c *checker) warm(at string, options *pb.CommandOptions) {
	for _, f := range []struct {
		name   string
		format pb.Format
	}{{"input_format", options.GetInputFormat()}, {"output_format", options.GetOutputFormat()}} {
		if f.format != pb.Format_FORMAT_UNSPECIFIED && f.format != pb.Format_FORMAT_ARROW {
			c.add(at+"."+f.name, "is "+enumName(f.format), "a warm command speaks arrow; leave it out")
		}
	}
}

// reads checks that stages form a chain.
func (c *checker) reads(at string, stages []*pb.Stage, i int) {
	name := stages[i].GetReads()
	at += ".reads"
	switch {
	case name == "":
	case i == 0:
		c.add(at, "is "+quoted(name), "the first stage reads the source; leave it out")
	case name == stages[i-1].GetName():
	case stageIndex(stages, name) == i:
		c.add(at, "names its own stage", "leave it out, or name the stage before")
	case stageIndex(stages, name) >= 0:
		c.add(at, "is "+quoted(name), fmt.Sprintf("stages form a chain: only the stage before, stages[%d], can be read", i-1))
	default:
		c.add(at, fmt.Sprintf("is %s, which is no stage", quoted(name)), DidYouMean(name, stageNames(stages), "leave it out to read the stage before"))
	}
}

func stageIndex(stages []*pb.Stage, name string) int {
	return slices.IndexFunc(stages, func(s *pb.Stage) bool { return s.GetName() == name })
}

func stageNames(stages []*pb.Stage) []string {
	var names []string
	for _, s := range stages {
		if s.GetName() != "" {
			names = append(names, s.GetName())
		}
	}
	return names
}

func (c *checker) sink(s *pb.Sink) {
	if s.GetFiles() != nil && s.GetFiles().GetFolder() == "" {
		c.add("sink.files", "have no folder", "name the folder that they go to")
	}
}

func (c *checker) batching(b *pb.Batching) {
	var rules []string
	for _, rule := range []struct {
		name string
		set  bool
	}{{"batches", b.GetBatches() > 0}, {"records", b.GetRecords() > 0}, {"bytes", b.GetBytes() > 0}} {
		if rule.set {
			rules = append(rules, rule.name)
		}
	}
	if len(rules) > 1 {
		c.add("batch", "has "+strings.Join(rules, " and "), "at most one of batches, records and bytes")
	}
}
