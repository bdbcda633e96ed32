package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/cmd/cli/settings"
)

// configVariable names the config file in the environment.
const configVariable = settings.Prefix + "CONFIG"

// settle gives the settings of a command their values.
func (a *app) settle(cmd *cobra.Command) error {
	named := a.configPath
	if named == "" {
		named = os.Getenv(configVariable)
	}
	a.configFile = settings.Path(named, os.LookupEnv)
	var file *settings.File
	if a.configFile != "" {
		var err error
		if file, err = settings.Read(a.configFile, a.commandsToTry()); err != nil {
			return &failure{statusUsage, err}
		}
	}
	var err error
	if a.settings, err = settings.Settle(cmd, os.LookupEnv, file); err != nil {
		return &failure{statusUsage, err}
	}
	return a.setLevel(cmd.Name())
}

// commandsToTry are commands on which the fields of a config file are tried.
func (a *app) commandsToTry() []*cobra.Command {
	other := &app{functions: a.functions}
	return allCommands(other.root())
}

// allCommands are the commands below one, but those of `config`, which are the
// others once more.
func allCommands(cmd *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, below := range cmd.Commands() {
		all = append(all, below)
		if below.Name() != configName {
			all = append(all, allCommands(below)...)
		}
	}
	return all
}

const configName = "config"

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: configName, Short: "Print the settings that are in force, and where each comes from",
		Long: `Print the settings of a command that are in force, and where each comes from. It
is the first of these that says anything:

  1. the flag, --keep-for 2h
  2. the environment, MILLRACE_KEEP_FOR=2h
  3. the config file, under the command's name, coordinator: {keep-for: 2h}
  4. the config file, at its top, keep-for: 2h
  5. the default

The config file is the one that --config or MILLRACE_CONFIG names, or else
$XDG_CONFIG_HOME/millrace/config.yaml (~/.config where that is not set), or else
/etc/millrace/config.yaml. No setting is a secret: of keys it is their files.`,
		Example: `  millrace config worker
  MILLRACE_SLOTS=2 millrace config worker --json
  millrace config coordinator --config fleet.yaml --keep-for 2h`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, add := range a.settingsOf() {
		add.cmd.Args = cobra.NoArgs
		add.cmd.Example = "  millrace config " + add.cmd.Name()
		add.flags(add.cmd)
		add.cmd.RunE = func(*cobra.Command, []string) error { return a.tellSettings() }
		cmd.AddCommand(add.cmd)
	}
	return cmd
}

// configured is a command whose settings can be told.
type configured struct {
	cmd   *cobra.Command
	flags func(*cobra.Command)
}

func (a *app) settingsOf() []configured {
	of := func(name, what string, flags func(*cobra.Command)) configured {
		return configured{&cobra.Command{Use: name, Short: "Print the settings of " + what}, flags}
	}
	return []configured{
		of(coordinatorName, "a coordinator", func(cmd *cobra.Command) { addCoordinatorFlags(cmd) }),
		of(workerName, "a worker", func(cmd *cobra.Command) { addWorkerFlags(cmd) }),
		of(submitName, "clients, of which submit has the most", func(cmd *cobra.Command) { addSubmitFlags(cmd) }),
		of(runName, "a job in this process", func(cmd *cobra.Command) { addRunSettings(cmd, &runOptions{}) }),
	}
}

// settingJSON is one setting as JSON.
type settingJSON struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
	Where  string `json:"where,omitempty"`
}

func (a *app) tellSettings() error {
	a.tellStrangers()
	if a.json {
		list := make([]settingJSON, len(a.settings))
		for i, s := range a.settings {
			list[i] = settingJSON{s.Name, s.Value, s.Origin, s.Where}
		}
		return a.printJSON(list)
	}
	file := a.configFile
	if file == "" {
		file = "none; looked for " + strings.Join(settings.UsualPaths(os.LookupEnv), ", ")
	}
	return errors.Join(a.print("config file: %s\n\n", file), writeSettings(a.stdout, a.settings))
}

// print writes on standard output.
func (a *app) print(format string, args ...any) error {
	_, err := fmt.Fprintf(a.stdout, format, args...)
	return err
}

func writeSettings(to io.Writer, list []settings.Setting) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SETTING\tVALUE\tFROM")
	for _, s := range list {
		from := s.Origin
		if s.Where != "" {
			from += " " + s.Where
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, s.Value, from)
	}
	return w.Flush()
}

// notSettings are names in the environment that are ours and no settings: the
// config file's, and what a program that runs in a job is told.
var notSettings = []string{
	"CONFIG", "JOB", "STAGE", "BATCH", "ATTEMPT", "POSITION", "FILE", "RUN",
}

// tellStrangers says which variables look like settings and are none.
func (a *app) tellStrangers() {
	var known []string
	for _, cmd := range a.commandsToTry() {
		for _, flag := range settings.Of(cmd) {
			known = append(known, settings.Variable(flag.Name))
		}
	}
	for _, name := range notSettings {
		known = append(known, settings.Prefix+name)
	}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, settings.Prefix) && !slices.Contains(known, name) {
			fmt.Fprintf(a.stderr, "millrace: %s is no setting: %s\n", name, api.DidYouMean(name, known, "it has no effect"))
		}
	}
}
