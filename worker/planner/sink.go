package planner

import (
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// sink adds what brings the results into the form in which they are wanted, and
// settles how the source is cut.
func (b *builder) sink() error {
	files := b.spec.GetSink().GetFiles()
	want := b.resultFormat(files != nil)
	if err := b.checkResult(); err != nil {
		return err
	}
	if whole := want == pb.Format_FORMAT_PARQUET || want == pb.Format_FORMAT_ARROW && b.flow.format != want; files.GetSingle() || files == nil && whole {
		b.collectResults()
	}
	b.plan.ResultColumns, b.plan.ResultFormat = b.flow.columns, want
	if files != nil || want != b.flow.format {
		b.flow = flow{format: want}
		b.add(encode(want, files != nil), "")
	}
	if files != nil {
		b.stages[len(b.stages)-1].Output = pb.OutputKind_OUTPUT_KIND_FILE
	} else if want == pb.Format_FORMAT_ARROW {
		b.stages[len(b.stages)-1].Output = pb.OutputKind_OUTPUT_KIND_ARROW
	}
	b.settleCut()
	return nil
}

// encode writes records in a format. The client's stream names its columns
// itself, once for all batches; a file names them at its beginning.
func encode(format pb.Format, header bool) *pb.Step {
	return &pb.Step{Processor: &pb.Step_Encode{Encode: &pb.EncodeStep{
		Format: format, Header: header && format == pb.Format_FORMAT_CSV,
	}}}
}

// collectResults makes one file of all results.
func (b *builder) collectResults() {
	if b.lone {
		return
	}
	b.end()
	b.name = b.stages[len(b.stages)-1].GetName()
	explain(b.open(), "one batch: the results become one file")
}

// resultFormat is the format of the results: as asked for, or as the last stage
// makes them. A table that becomes files is written like the source where that
// is a table too, and as CSV otherwise.
func (b *builder) resultFormat(files bool) pb.Format {
	if want := b.spec.GetSink().GetFormat(); want != pb.Format_FORMAT_UNSPECIFIED {
		return want
	}
	if !files || b.flow.format != pb.Format_FORMAT_ARROW {
		return b.flow.format
	}
	if f := b.plan.GetFormat(); f != pb.Format_FORMAT_LINES {
		return f
	}
	return pb.Format_FORMAT_CSV
}

// checkResult refuses conversions that can't be made.
func (b *builder) checkResult() error {
	if b.flow.format == pb.Format_FORMAT_PARQUET {
		return processor.Fatal("stage %s writes Parquet, which can't be passed on: let it write Arrow, CSV or JSON", b.name)
	}
	return nil
}
