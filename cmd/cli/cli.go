// Package cli is the command line of Millrace. It is importable: a program of
// one's own with functions of one's own has the same commands by
//
//	func main() { cli.Main(worker.Keyed("words", words, add)) }
//
// What a flag means for a job, what goes to which output in which format, and
// what a process answers with is decided here; how a job runs is not.
//
// # Exit statuses
//
//	0    done
//	1    the job failed, a refused query or output folder among the reasons
//	2    a wrong command line or job file
//	130  interrupted (143 by SIGTERM); the second signal ends it at once
//
// When whoever reads the result goes away (`millrace run … | head`), the job is
// cancelled and the status is 0: they have what they wanted.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/worker"
	"github.com/millrace/millrace/worker/processor/function"
)

// Exit statuses.
const (
	statusDone   = 0
	statusFailed = 1
	statusUsage  = 2
	statusSignal = 128 // and the signal's number
)

// Main runs the command line of the process, with functions that jobs can name,
// and ends the process.
func Main(functions ...worker.Function) {
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(a.main(os.Args[1:], functions))
}

// app is the command line with what it reads and writes.
type app struct {
	stdin          *os.File
	stdout, stderr *os.File
	functions      *function.Registry

	json     bool   // JSON on standard output
	logLevel string // as it was given
	level    slog.Level
}

// failure is an error with the exit status that it means. A nil err says that
// everything was told already.
type failure struct {
	status int
	err    error
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit status %d", f.status)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// usage is an error of the command line or a job file.
func usage(format string, args ...any) error {
	return &failure{statusUsage, fmt.Errorf(format, args...)}
}

// failed is an error of what the command did.
func failed(err error) error { return &failure{statusFailed, err} }

func (a *app) main(args []string, functions []worker.Function) int {
	registry, err := function.NewRegistry(functions...)
	if err != nil {
		return a.report(usage("the functions of this program: %w", err))
	}
	a.functions = registry
	ctx, stop := a.untilSignal()
	defer stop()
	root := a.root()
	root.SetArgs(args)
	return a.report(root.ExecuteContext(ctx))
}

// untilSignal makes a context that ends with the first SIGINT or SIGTERM; the
// second one ends the process at once. SIGPIPE is taken so that a closed pipe is
// an error of the write; ignored, it would stay so in the commands that we run.
func (a *app) untilSignal() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		cancel(interrupted{<-signals})
		os.Exit(interrupted{<-signals}.status())
	}()
	return ctx, func() { cancel(nil) }
}

// interrupted says by which signal.
type interrupted struct{ by os.Signal }

func (i interrupted) Error() string {
	if i.by == os.Interrupt {
		return "interrupted"
	}
	return "interrupted: " + i.by.String()
}

func (i interrupted) status() int {
	if number, ok := i.by.(syscall.Signal); ok {
		return statusSignal + int(number)
	}
	return statusFailed
}

// report tells of an error, and what to exit with.
func (a *app) report(err error) int {
	if err == nil {
		return statusDone
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{statusUsage, err} // cobra's own: unknown commands and flags
	}
	var faults api.Faults
	switch {
	case f.err == nil:
	case errors.As(f.err, &faults):
		a.tellFaults(faults)
	default:
		fmt.Fprintf(a.stderr, "millrace: %v\n", f.err)
	}
	return f.status
}

// root is the command without which there is none.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "millrace",
		Short: "Run a query, a program or a function over many files",
		Long: `Millrace cuts files into micro-batches, runs a query, a program or a function
over them on all cores, tries again what fails, and gathers the results in
order.`,
		Example: `  # A query over all files, a program for each file, a job as its file says
  millrace run --sql 'SELECT max(bytes) FROM input' 'logs/*.csv'
  millrace run --command 'wc -w' 'books/**/*.txt'
  millrace run job.yaml

  # What can be said of a job, by example
  millrace run --help`,
		SilenceErrors: true, SilenceUsage: true, SuggestionsMinimumDistance: 2,
		Args: rootArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		PersistentPreRunE: a.setLevel,
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "print JSON on standard output (a result keeps its own format)")
	flags.StringVar(&a.logLevel, "log", "warn", "log from this `level` on to standard error: debug, info, warn, error")
	complete(root, "log", "debug", "info", "warn", "error")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w\nSee: %s --help", err, cmd.CommandPath())
	})
	root.Version = version().String()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetUsageTemplate(usageTemplate(root))
	root.AddCommand(a.runCommand(), a.checkCommand(), a.schemaCommand(), a.benchCommand(), a.versionCommand())
	return root
}

// rootArgs refuses what is no command, and knows a job file without its command.
func rootArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case isJobFile(args[0]):
		return usage("unknown command %q; to run a job file: millrace run %s", args[0], args[0])
	}
	text := fmt.Sprintf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += ": did you mean " + strings.Join(near, " or ") + "?"
	}
	return usage("%s\nSee: %s --help", text, cmd.CommandPath())
}

// complete names the values of a flag, for shells.
func complete(cmd *cobra.Command, flag string, values ...string) {
	choices := make([]cobra.Completion, len(values))
	copy(choices, values)
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // a flag that is not there
	}
}

// setLevel reads --log.
func (a *app) setLevel(*cobra.Command, []string) error {
	if err := a.level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return usage("--log %s: one of debug, info, warn, error", a.logLevel)
	}
	return nil
}

// logger writes what coordinator and worker have to say.
func (a *app) logger(to io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: a.level}))
}
