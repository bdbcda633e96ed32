package cli

import (
	"io"
	"log/slog"
)

// logName is the flag of the log's level.
const logName = "log"

// The values of --log and --log-format.
var (
	logLevels  = []string{"debug", "info", "warn", "error"}
	logFormats = []string{"text", "json"}
)

// setLevel takes on the level that was asked for, or else the command's own.
func (a *app) setLevel(command string) error {
	if a.logLevel != "" {
		return a.level.UnmarshalText([]byte(a.logLevel))
	}
	a.level = usualLevel(command)
	return nil
}

// usualLevel is what a command logs from when nobody says.
func usualLevel(command string) slog.Level {
	if command == coordinatorName || command == workerName {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// logger writes what coordinator and worker have to say.
func (a *app) logger(to io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: a.level}
	if a.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}
