package cli

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

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
	var err error
	if a.configFile != "" {
		if a.file, err = settings.Read(a.configFile, a.commandsToTry()); err != nil {
			return &failure{statusUsage, err}
		}
	}
	if a.settings, err = settings.Settle(cmd, os.LookupEnv, a.file); err != nil {
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
		Long: `Print the settings that are in force, of all commands or of one with the flags
that are given to it, and where each comes from. It is the first of these that
says anything:

  1. the flag, --keep-for 2h
  2. the environment, MILLRACE_KEEP_FOR=2h
  3. the config file, under the command's name, coordinator: {keep-for: 2h}
  4. the config file, at its top, keep-for: 2h
  5. the default

The config file is the one that --config or MILLRACE_CONFIG names, or else
$XDG_CONFIG_HOME/millrace/config.yaml (~/.config where that is not set), or else
/etc/millrace/config.yaml. No setting is a secret: of keys it is their files.`,
		Example: `  millrace config
  MILLRACE_SLOTS=2 millrace config worker --json
  millrace config coordinator --config fleet.yaml --keep-for 2h`,
		Args: cobra.NoArgs,
	}
	all := a.settingsOf()
	for _, c := range all {
		c.cmd.Args = cobra.NoArgs
		c.cmd.Example = "  millrace config " + c.cmd.Name()
		c.cmd.RunE = func(*cobra.Command, []string) error { return a.tellSettings(inForce("", c, a.settings)) }
		cmd.AddCommand(c.cmd)
	}
	cmd.RunE = func(*cobra.Command, []string) error { return a.tellAllSettings(all) }
	return cmd
}

// configured is a command whose settings can be told. finish gives those that
// were not said the values that the command finds for them.
type configured struct {
	cmd    *cobra.Command
	finish func() error
}

func (a *app) settingsOf() []configured {
	of := func(name, what string) *cobra.Command {
		return &cobra.Command{Use: name, Short: "Print the settings of " + what}
	}
	coordinator, worker := of(coordinatorName, "a coordinator"), of(workerName, "a worker")
	submit, run := of(submitName, "clients, of which submit has the most"), of(runName, "a job in this process")
	boss, hand := addCoordinatorFlags(coordinator), addWorkerFlags(worker)
	ask, here := addSubmitFlags(submit), &runOptions{}
	addRunSettings(run, here)
	return []configured{
		{coordinator, boss.finish},
		{worker, func() error { return a.workerConfig(hand) }},
		{submit, func() error { ask.user = cmp.Or(ask.user, loginName()); return nil }},
		{run, here.finish},
	}
}

// settingJSON is one setting as JSON.
type settingJSON struct {
	Command string `json:"command,omitempty"` // where those of several are told
	Name    string `json:"name"`
	Value   string `json:"value"`
	Origin  string `json:"origin"`
	Where   string `json:"where,omitempty"`
}

// inForce are settings that are settled, with the defaults that their command
// finds.
func inForce(command string, c configured, settled []settings.Setting) ([]settingJSON, error) {
	if err := c.finish(); err != nil {
		return nil, err
	}
	list := make([]settingJSON, len(settled))
	for i, s := range settled {
		switch own := c.cmd.LocalFlags().Lookup(s.Name); {
		case s.Origin != settings.FromDefault:
		case s.Name == logName:
			s.Value = strings.ToLower(usualLevel(c.cmd.Name()).String())
		case own != nil && own.Value.String() != "": // what all share holds another's
			s.Value = own.Value.String()
		}
		list[i] = settingJSON{command, s.Name, s.Value, s.Origin, s.Where}
	}
	return list, nil
}

// tellAllSettings tells the settings of all commands.
func (a *app) tellAllSettings(all []configured) error {
	var list []settingJSON
	for _, c := range all {
		settled, err := settings.Settle(c.cmd, os.LookupEnv, a.file)
		if err != nil {
			return &failure{statusUsage, err}
		}
		own, err := inForce(c.cmd.Name(), c, settled)
		if err != nil {
			return err
		}
		list = append(list, own...)
	}
	return a.tellSettings(list, nil)
}

func (a *app) tellSettings(list []settingJSON, err error) error {
	a.tellStrangers()
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(list)
	}
	file := a.configFile
	if file == "" {
		file = "none; looked for " + strings.Join(settings.UsualPaths(os.LookupEnv), ", ")
	}
	if err := a.print("config file: %s\n\n", file); err != nil {
		return err
	}
	return settingTable(list).write(a.stdout, terminalWidth(a.stdout))
}

func settingTable(list []settingJSON) *table {
	t := &table{columns: []column{{title: "SETTING"}, {title: "VALUE"}, {title: "FROM"}}}
	several := list[0].Command != ""
	if several {
		t.columns = append([]column{{title: "COMMAND"}}, t.columns...)
	}
	for _, s := range list {
		cells := []string{s.Name, s.Value, strings.TrimSpace(s.Origin + " " + s.Where)}
		if several {
			cells = append([]string{s.Command}, cells...)
		}
		t.add(cells...)
	}
	return t
}

// print writes on standard output.
func (a *app) print(format string, args ...any) error {
	_, err := fmt.Fprintf(a.stdout, format, args...)
	return err
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
