package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is how wide a help text may be, in cells.
const helpWidth = 80

// flagGroup are flags that belong together in the help of a command.
type flagGroup struct {
	title string
	flags []string
}

// runGroups are those of `run`, in the order in which somebody new needs them.
var runGroups = []flagGroup{
	{"What is done", []string{"sql", "command", "function"}},
	{"Input", []string{"format", "compression", "csv-delimiter", "csv-quote", "csv-escape", "csv-header",
		"union-by-name", "max-record"}},
	{"Result", []string{"output-format", "output", "overwrite", "single"}},
	{"Batches", []string{"slots", "batches", "batch-records", "batch-bytes", "batch-files", "delay", "max-concurrency"}},
	{"Failures and limits", []string{"retries", "skip-bad-records", "timeout", "deadline", "max-memory"}},
	{"Programs (--command)", []string{"shell", "ok-exit", "env", "command-format", "command-output", "warm"}},
	{"What is told", []string{"explain", "name", "quiet", "stats", "help"}},
}

// usageTemplate is cobra's own, but for flags that are wrapped.
func usageTemplate(cmd *cobra.Command) string {
	wrapped := fmt.Sprintf("FlagUsagesWrapped %d", helpWidth)
	return strings.ReplaceAll(cmd.UsageTemplate(), "FlagUsages ", wrapped+" ")
}

// groupFlags makes a command show its flags in groups.
func groupFlags(cmd *cobra.Command, groups []flagGroup) {
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		to := cmd.OutOrStderr()
		fmt.Fprintf(to, "Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(), cmd.Example)
		for _, group := range groups {
			fmt.Fprintf(to, "\n%s:\n%s", group.title, groupOf(cmd, group).FlagUsagesWrapped(helpWidth))
		}
		_, err := fmt.Fprintf(to, "\nEverywhere:\n%s", cmd.InheritedFlags().FlagUsagesWrapped(helpWidth))
		return err
	})
}

func groupOf(cmd *cobra.Command, group flagGroup) *pflag.FlagSet {
	set := pflag.NewFlagSet(group.title, pflag.ContinueOnError)
	set.SortFlags = false
	for _, name := range group.flags {
		if flag := cmd.Flags().Lookup(name); flag != nil {
			set.AddFlag(flag)
		}
	}
	return set
}
