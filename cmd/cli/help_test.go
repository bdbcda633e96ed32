package cli

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	pb "github.com/millrace/millrace/api/millracev1"
)

func TestEveryFlagIsInOneGroup(t *testing.T) {
	a := docsApp(t)
	for _, of := range []struct {
		cmd    *cobra.Command
		groups []flagGroup
	}{
		{a.runCommand(), runGroups}, {a.submitCommand(), submitGroups()},
		{a.coordinatorCommand(), coordinatorGroups}, {a.workerCommand(), workerGroups},
	} {
		of.cmd.InitDefaultHelpFlag()
		var grouped, all []string
		for _, group := range of.groups {
			grouped = append(grouped, group.flags...)
		}
		of.cmd.Flags().VisitAll(func(f *pflag.Flag) { all = append(all, f.Name) })
		slices.Sort(grouped)
		slices.Sort(all)
		if !slices.Equal(grouped, all) {
			t.Errorf("%s groups\n%v, and has\n%v", of.cmd.Name(), grouped, all)
		}
	}
}

func TestHelpFitsATerminal(t *testing.T) {
	w := place(t, nil)
	for _, command := range append(commandPaths(docsApp(t).root()), "") {
		got := w.run("", append(strings.Fields(command), "--help")...)
		if got.status != 0 || !strings.Contains(got.stdout, "millrace") {
			t.Errorf("%s: %+v", command, got)
		}
		for line := range strings.Lines(got.stdout) {
			if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > helpWidth {
				t.Errorf("%s: too wide: %s", command, line)
			}
		}
	}
}

// commandPaths are all commands, as they are typed.
func commandPaths(cmd *cobra.Command) []string {
	var all []string
	for _, below := range cmd.Commands() {
		if !below.Hidden {
			all = append(all, strings.TrimPrefix(below.CommandPath(), "millrace "))
			all = append(all, commandPaths(below)...)
		}
	}
	return all
}

func TestVersionIsAFlagToo(t *testing.T) {
	w := place(t, nil)
	w.want(w.run("", "--version"), 0, version().String()+"\n")
}

func TestCommandLinesSayWhatWasMeant(t *testing.T) {
	w := place(t, books)
	for _, test := range []struct {
		args []string
		said string
	}{
		{[]string{"rum"}, "did you mean run"},
		{[]string{"job.yaml"}, "millrace run job.yaml"},
		{[]string{"run", "--sql", "SELECT 1", "--command", "cat", "books"}, "exclude each other"},
		{[]string{"run", "--command", "cat", "--single", "books"}, "--output"},
	} {
		w.want(w.run("", test.args...), 2, "", test.said)
	}
	w.want(w.run("", "run", "--command", "echo a | cat", "books/a.txt"), 0, "a | cat\n", `"|"`, "--shell")
	w.want(w.run("", "run", "-q", "--shell", "--command", "echo a | cat", "books/a.txt"), 0, "a\n")
}

func TestGoMemory(t *testing.T) {
	query := &pb.Stage{Processor: &pb.Stage_Sql{Sql: "SELECT 1"}}
	function := &pb.Stage{Processor: &pb.Stage_Function{Function: "f"}}
	command := &pb.Stage{Processor: &pb.Stage_Command{Command: "cat"}}
	const budget = 1 << 30
	for _, test := range []struct {
		stages []*pb.Stage
		memory int64
		want   int64
	}{
		{[]*pb.Stage{query}, budget, budget / 4},
		{[]*pb.Stage{command, query}, budget, budget / 4},
		{[]*pb.Stage{function, query}, budget, budget / 2},
		{[]*pb.Stage{function, command}, budget, budget},
		{[]*pb.Stage{query}, 64 << 20, minGoMemory},
	} {
		if got := goMemory(&pb.JobSpec{Stages: test.stages}, test.memory); got != test.want {
			t.Errorf("%v of %d: %d, want %d", test.stages, test.memory, got, test.want)
		}
	}
}
