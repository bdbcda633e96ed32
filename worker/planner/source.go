package planner

import (
	"context"
	"errors"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/processor/sql"
	"github.com/millrace/millrace/worker/sink"
	"github.com/millrace/millrace/worker/source"
)

const (
	// sampleBytes is how much of the source is looked at to know the types of
	// its columns.
	sampleBytes = 2 << 20
	// uncutBytes is the size below which a file is not worth cutting.
	uncutBytes = 1 << 20
	// warmBytes is the size from which a source is batches enough for several
	// slots.
	warmBytes = 16 << 20
)

// planner is a plan in the making.
type planner struct {
	spec *pb.JobSpec
	// jobID is the job's identifier.
	jobID string
	deps  Deps
	plan  *pb.Plan
	// source says how files are reached.
	source source.Options
	// folder is the sink's; nil where there is none.
	folder *sink.Folder
	// queries is opened when the first query is planned.
	queries *sql.Planner
	// sniffed is how the source is written.
	sniffed *source.Sniffed
}

func (p *planner) close() {
	if p.queries != nil {
		_ = p.queries.Close()
	}
}

// engine is the SQL engine that answers for queries.
func (p *planner) engine() (*sql.Planner, error) {
	if p.queries == nil {
		opened, err := p.deps.Queries()
		if err != nil {
			return nil, processor.Fatal("the job needs SQL, but %v", err)
		}
		p.queries = opened
	}
	return p.queries, nil
}

// failure makes the errors that a user can mend into failures.
func failure(err error) error {
	var known *processor.Failure
	if errors.As(err, &known) {
		return known
	}
	var problem *source.Problem
	switch {
	case !errors.As(err, &problem):
		return err
	case problem.Elsewhere():
		return processor.InputGone("%v", problem)
	}
	return processor.Fatal("%v", problem)
}

// make makes the plan. What is cheap to refuse is refused first.
func (p *planner) make(ctx context.Context) error {
	if err := p.checkStages(); err != nil {
		return err
	}
	if err := p.checkFolder(); err != nil {
		return err
	}
	if err := p.readSource(ctx); err != nil {
		return err
	}
	if err := p.buildStages(ctx); err != nil {
		return err
	}
	if err := p.index(ctx); err != nil {
		return err
	}
	return p.markFolder()
}

// checkFolder refuses an output folder that may not be written to.
func (p *planner) checkFolder() error {
	if p.folder == nil {
		return nil
	}
	return p.folder.Check()
}

// markFolder leaves in the output folder what other workers know it by. It is
// done last: a job that can't be planned leaves nothing behind.
func (p *planner) markFolder() (err error) {
	if p.folder != nil && p.jobID != "" {
		p.plan.SinkMarker, err = p.folder.Mark()
	}
	return err
}

// readSource lists and sniffs the source.
func (p *planner) readSource(ctx context.Context) error {
	fragments, err := source.List(ctx, p.spec.GetSource(), p.source)
	if err != nil {
		return err
	}
	if p.sniffed, err = source.Sniff(ctx, p.spec.GetSource(), fragments, p.source); err != nil {
		return err
	}
	p.plan.Fragments = fragments
	p.plan.Format, p.plan.Csv, p.plan.Columns = p.sniffed.Format, p.sniffed.Csv, p.sniffed.Columns
	p.plan.Notes = p.sniffed.Notes
	if p.folder != nil {
		return p.folder.CheckInputs(fragments)
	}
	return nil
}

// typeColumns finds the types of the source's columns, for SQL.
func (p *planner) typeColumns(ctx context.Context) error {
	engine, err := p.engine()
	if err != nil {
		return err
	}
	if p.deps.Warm != nil && total(p.plan.GetFragments()) > warmBytes {
		p.deps.Warm()
	}
	switch p.sniffed.Format {
	case pb.Format_FORMAT_CSV, pb.Format_FORMAT_JSON:
		if p.sniffed.Format == pb.Format_FORMAT_CSV && len(p.sniffed.Columns) == 0 {
			p.plan.Columns = []*pb.Column{{Name: "column0", Type: "VARCHAR"}}
			p.plan.Notes = append(p.plan.Notes, "no file has a line: the input is an empty table with the column column0")
			return nil
		}
		sample, err := source.Sample(ctx, p.spec.GetSource(), p.sniffed, p.plan.GetFragments(), sampleBytes, p.source)
		if err != nil {
			return err
		}
		p.plan.Columns, err = engine.SniffTypes(ctx, sample, p.sniffed.Format, p.sniffed.Csv, columnNames(p.sniffed.Columns))
		if err != nil {
			return err
		}
	case pb.Format_FORMAT_PARQUET:
		files, err := p.paths()
		if err != nil {
			return err
		}
		if p.plan.Columns, err = engine.DescribeParquet(ctx, files); err != nil {
			return err
		}
	case pb.Format_FORMAT_LINES:
		p.plan.Columns = sql.LineColumns()
	}
	if len(p.plan.Columns) == 0 {
		return processor.Fatal("the input has no columns to query: no file holds a record")
	}
	return nil
}

func columnNames(columns []*pb.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.GetName()
	}
	return names
}

// paths are the fragments' files, each once, as DuckDB may open them.
func (p *planner) paths() ([]string, error) {
	var list []string
	seen := map[string]bool{}
	for _, f := range p.plan.GetFragments() {
		path := f.GetPath()
		if seen[path] {
			continue
		}
		seen[path] = true
		if !p.deps.Roots.Plain() {
			var err error
			if path, err = p.deps.Roots.Real(path); err != nil {
				return nil, processor.InputGone("%v", err)
			}
		}
		list = append(list, path)
	}
	return list, nil
}

// index finds where files may be cut, for those that will be.
func (p *planner) index(ctx context.Context) error {
	cut := p.plan.GetStages()[0].GetCut()
	request := source.IndexRequest{Format: p.plan.GetFormat(), Csv: p.plan.GetCsv(), MinBytes: uncutBytes}
	switch cut.GetRule() {
	case pb.CutRule_CUT_RULE_ONE:
		return nil
	case pb.CutRule_CUT_RULE_RECORDS:
		request.EveryRecords = cut.GetSize()
	case pb.CutRule_CUT_RULE_BATCHES:
		request.MinBytes = 0
	case pb.CutRule_CUT_RULE_BYTES:
		request.MinBytes = cut.GetSize()
	}
	if cut.GetWholeFiles() || request.EveryRecords == 0 && p.plan.GetFormat() != pb.Format_FORMAT_CSV {
		return nil
	}
	return source.Index(ctx, p.worthIndexing(cut), request, p.source)
}
