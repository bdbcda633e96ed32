package cli

import (
	stdcsv "encoding/csv"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

// outputFormats are the formats of a result, as --output-format names them.
var outputFormats = append(api.ShortNames(pb.Format(0).Descriptor()), formatTable)

// formatTable is for people, and so no format of a job.
const formatTable = "table"

// outputForm is how a result is written here.
type outputForm struct {
	// format is what was asked for; empty for bytes as they are.
	format string
	// terminal says that people look at it.
	terminal bool
}

// chooseOutput settles in which format a result is written here, and what the
// job must make for that.
func (a *app) chooseOutput(spec *pb.JobSpec, asked string, terminal bool) (outputForm, error) {
	if asked != "" && !slices.Contains(outputFormats, asked) {
		return outputForm{}, usage("--output-format %q is not one of %s", asked, strings.Join(outputFormats, ", "))
	}
	if spec.GetSink().GetFiles() != nil {
		return outputForm{}, fileOutput(spec, asked)
	}
	if asked == "" {
		asked = api.ShortName(spec.GetSink().GetFormat())
	}
	switch {
	case asked != "":
	case terminal && (a.makesRecords(spec) || writes(lastStage(spec), pb.Format_FORMAT_CSV)):
		asked = formatTable
	case a.makesRecords(spec):
		asked = "csv"
	}
	if asked != "" {
		sink(spec).Format = formatOfJob(spec, asked)
	}
	return outputForm{asked, terminal}, nil
}

// fileOutput is the format of files.
func fileOutput(spec *pb.JobSpec, asked string) error {
	switch asked {
	case "":
	case formatTable:
		return usage("--output-format table is for terminals; files are one of %s",
			strings.Join(api.ShortNames(pb.Format(0).Descriptor()), ", "))
	default:
		sink(spec).Format = formatNamed(asked)
	}
	return nil
}

// formatOfJob is what a job must make so that this can be written. Records that
// are put together to one table or file here come as Arrow, and so does what a
// program makes whose columns nobody knows before: a header must name them.
func formatOfJob(spec *pb.JobSpec, asked string) pb.Format {
	last := lastStage(spec)
	unnamed := writes(last, pb.Format_FORMAT_ARROW) || writes(last, pb.Format_FORMAT_JSON)
	if asked == formatTable || asked == "parquet" || asked == "csv" && unnamed {
		return pb.Format_FORMAT_ARROW
	}
	return formatNamed(asked)
}

// formatNamed is the format of a short name.
func formatNamed(name string) pb.Format {
	number, _ := api.ParseEnum(pb.Format(0).Descriptor(), name)
	return pb.Format(number)
}

// makesRecords says whether the job's last stage makes records with columns,
// rather than text.
func (a *app) makesRecords(spec *pb.JobSpec) bool {
	last := lastStage(spec)
	switch p := last.GetProcessor().(type) {
	case *pb.Stage_Sql:
		return true
	case *pb.Stage_Command:
		return writes(last, pb.Format_FORMAT_ARROW)
	case *pb.Stage_Function:
		info, ok := a.functions.Lookup(p.Function)
		return ok && len(info.Columns) > 0
	}
	return false
}

func lastStage(spec *pb.JobSpec) *pb.Stage { return spec.GetStages()[len(spec.GetStages())-1] }

// writes says whether a stage is a program that writes a format. A warm one
// speaks Arrow, whatever is said.
func writes(stage *pb.Stage, format pb.Format) bool {
	options := stage.GetCommandOptions()
	if options.GetWarm() {
		return stage.GetCommand() != "" && format == pb.Format_FORMAT_ARROW
	}
	return stage.GetCommand() != "" && options.GetOutputFormat() == format
}

// output is where a result is written to. It remembers the first error, and says
// when it is about to write for the first time.
type output struct {
	to     *os.File
	before func() // nil once called
	err    error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if o.before != nil && term.IsTerminal(int(o.to.Fd())) {
		o.before()
	}
	o.before = nil
	n, err := o.to.Write(p)
	o.err = err
	return n, err
}

// write writes a result in its form.
func (f outputForm) write(result *api.Result, to *output) error {
	switch arrow := result.Header().GetFormat() == pb.Format_FORMAT_ARROW; {
	case arrow && f.format == "" && f.terminal:
		return writeRecords(result, formatTable, to)
	case arrow && f.format == "":
		return writeRecords(result, "arrow", to)
	case arrow:
		return writeRecords(result, f.format, to)
	case f.format == "csv":
		return writeHeaded(result, to)
	}
	_, err := result.WriteTo(to)
	return err
}

// headed writes the names of the columns once, before anything else: the batches
// come without. A job that fails before it made anything leaves nothing.
type headed struct {
	to      *output
	columns []*pb.Column // nil once written
}

func writeHeaded(result *api.Result, to *output) error {
	h := &headed{to, result.Header().GetColumns()}
	if _, err := result.WriteTo(h); err != nil {
		return err
	}
	return h.header()
}

func (h *headed) Write(p []byte) (int, error) {
	if len(p) > 0 {
		if err := h.header(); err != nil {
			return 0, err
		}
	}
	return h.to.Write(p)
}

func (h *headed) header() error {
	if len(h.columns) == 0 {
		return nil
	}
	names := make([]string, len(h.columns))
	for i, column := range h.columns {
		names[i] = column.GetName()
	}
	h.columns = nil
	w := stdcsv.NewWriter(h.to)
	if err := w.Write(names); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}
