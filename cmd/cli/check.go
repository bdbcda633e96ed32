package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check job.yaml…", Short: "Tell everything that is wrong with job files",
		Long: `Tell everything that is wrong with job files, each fault with its file, line and
column, and what was meant. Nothing runs, and no data is looked at.`,
		Example: `  millrace check job.yaml
  millrace check --json *.yaml`,
		Args: oneOrMore("which job files?"),
		RunE: func(_ *cobra.Command, args []string) error { return a.check(args) },
	}
}

// faultJSON is one fault as JSON.
type faultJSON struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path"`
	Problem string `json:"problem"`
	Meant   string `json:"meant"`
}

func (a *app) check(paths []string) error {
	var told api.Faults
	for _, path := range paths {
		_, err := a.readJob(path)
		var faults api.Faults
		if err != nil && !errors.As(err, &faults) {
			return err
		}
		told = append(told, faults...)
	}
	switch {
	case len(told) > 0:
		return &failure{statusUsage, told}
	case a.json:
		return a.printJSON([]faultJSON{})
	}
	return nil
}

// tellFaults tells what is wrong with a job: on standard error, or as JSON.
func (a *app) tellFaults(faults api.Faults) {
	if !a.json {
		fmt.Fprintln(a.stderr, faults.Error())
		return
	}
	list := make([]faultJSON, len(faults))
	for i, f := range faults {
		list[i] = toJSON(f)
	}
	if err := a.printJSON(list); err != nil {
		fmt.Fprintf(a.stderr, "millrace: %v\n", err)
	}
}

// toJSON is a fault with names for programs.
func toJSON(f api.Fault) faultJSON {
	return faultJSON{File: f.File, Line: f.Line, Column: f.Column, Path: f.Path, Problem: f.Problem, Meant: f.Meant}
}

// readJob reads a job file; "-" is standard input.
func (a *app) readJob(path string) (*pb.JobSpec, error) {
	file, name := a.stdin, "stdin"
	if path != stdinName {
		opened, err := os.Open(path)
		if err != nil {
			return nil, usage("job file: %w", err)
		}
		defer opened.Close()
		file, name = opened, path
	}
	data, err := io.ReadAll(io.LimitReader(file, api.MaxJobFileBytes+1))
	if err != nil {
		return nil, usage("job file: %w", err)
	}
	spec, err := api.ParseJob(data, name)
	if err != nil {
		return nil, &failure{statusUsage, err}
	}
	return spec, nil
}
