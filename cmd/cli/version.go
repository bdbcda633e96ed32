package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/api"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := version()
			if a.json {
				return a.printJSON(v)
			}
			_, err := fmt.Fprintln(a.stdout, v)
			return err
		},
	}
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of job files",
		Long: `Print the JSON Schema (draft 2020-12) of job files. Editors complete and check
with it.`,
		Example: `  millrace schema >job.schema.json

  # then, at the top of a job file, for editors with a YAML language server:
  # yaml-language-server: $schema=job.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(api.Schema())
			return err
		},
	}
}

// versionInfo is what `version` tells.
type versionInfo struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	System  string `json:"os"`
	Machine string `json:"arch"`
}

func (v versionInfo) String() string {
	return fmt.Sprintf("millrace %s %s %s/%s", v.Version, v.Go, v.System, v.Machine)
}

// version is that of the build.
func version() versionInfo {
	v := versionInfo{"development", runtime.Version(), runtime.GOOS, runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	return v
}
