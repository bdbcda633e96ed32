package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millrace/millrace/cmd/cli/settings"
)

const (
	settingsBegin = "<!-- settings: begin; go test ./cmd/cli -run TestDocs -update -->\n"
	settingsEnd   = "<!-- settings: end -->"
)

// The table of all settings is made of the flags.
func TestDocsTellEverySetting(t *testing.T) {
	path := docs + "settings.md"
	text := page(t, path)
	head, rest, found := strings.Cut(text, settingsBegin)
	_, tail, ended := strings.Cut(rest, settingsEnd)
	if !found || !ended {
		t.Fatalf("%s has no place for the settings", path)
	}
	want := head + settingsBegin + settingsTable(t) + settingsEnd + tail
	if want == text {
		return
	}
	if !*update {
		t.Fatalf("%s does not tell the settings as they are: go test ./cmd/cli -run TestDocs -update", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// settingRow is a setting, and the commands that have it alike.
type settingRow struct {
	flag *pflag.Flag
	of   []string
}

func settingsTable(t *testing.T) string {
	t.Helper()
	var rows []settingRow
	root := docsApp(t).root()
	for _, cmd := range allCommands(root) {
		if cmd.Name() == configName {
			continue
		}
		for _, flag := range settings.Of(cmd) {
			rows = addSetting(rows, cmd, flag, root.PersistentFlags().Lookup(flag.Name) == flag)
		}
	}
	var b strings.Builder
	b.WriteString("| flag | of | environment | in the file | default | |\n|---|---|---|---|---|---|\n")
	for _, row := range rows {
		fmt.Fprintf(&b, "| `--%s` | %s | `%s` | %s | %s | %s |\n", row.flag.Name, strings.Join(row.of, ", "),
			settings.Variable(row.flag.Name), row.places(), cell(settings.Default(row.flag)), meaning(row.flag))
	}
	return b.String()
}

// addSetting adds a setting to the row of its like.
func addSetting(rows []settingRow, cmd *cobra.Command, flag *pflag.Flag, everywhere bool) []settingRow {
	of := cmd.Name()
	switch {
	case everywhere:
		of = "all"
	case flag.Name == "server", strings.HasPrefix(flag.Name, "tls-") && of != coordinatorName && of != workerName:
		of = "clients"
	}
	for i, row := range rows {
		if row.flag.Name == flag.Name && row.flag.Usage == flag.Usage && row.flag.DefValue == flag.DefValue {
			if !slices.Contains(row.of, of) {
				rows[i].of = append(rows[i].of, of)
			}
			return rows
		}
	}
	return append(rows, settingRow{flag, []string{of}})
}

// places are the fields of the config file that hold a setting.
func (r settingRow) places() string {
	places := []string{"`" + r.flag.Name + "`"}
	for _, of := range r.of {
		if of != "all" && of != "clients" {
			places = append(places, "`"+of+"."+r.flag.Name+"`")
		}
	}
	return strings.Join(places, ", ")
}

// cell is a default in a table.
func cell(text string) string {
	switch {
	case text == "":
		return "none"
	case strings.Contains(text, " "):
		return text
	}
	return "`" + text + "`"
}

// meaning is the help of a flag without the default, which has a column.
func meaning(flag *pflag.Flag) string {
	usage := flag.Usage
	if otherwise := settings.Default(flag); otherwise != flag.DefValue {
		usage = strings.TrimSuffix(usage, " ("+otherwise+")")
	}
	return strings.ReplaceAll(usage, "|", `\|`)
}
