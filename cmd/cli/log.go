package cli

import (
	"io"
	"log/slog"
)

// The values of --log and --log-format.
var (
	logLevels  = []string{"debug", "info", "warn", "error"}
	logFormats = []string{"text", "json"}
)

// setLevel takes on the level that was asked for, or else the command's own.
func (a *app) setLevel(command string) error {
	switch {
	case a.logLevel != "":
		return a.level.UnmarshalText([]byte(a.logLevel))
	case command == coordinatorName || command == workerName:
		a.level = slog.LevelInfo
	default:
		a.level = slog.LevelWarn
	}
	return nil
}

// logger writes what coordinator and worker have to say.
func (a *app) logger(to io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: a.level}
	if a.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}
