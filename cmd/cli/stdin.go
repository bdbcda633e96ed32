package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
)

// stdinName is standard input among files.
const stdinName = "-"

// takeStdin puts a file in the place of standard input, where the job reads it:
// the file itself that it comes from, or a copy in folder.
func (r *job) takeStdin(ctx context.Context, folder string) error {
	s := source(r.spec)
	if s.GetStdin() {
		s.Stdin, s.Files = false, []string{stdinName}
	}
	if !slices.Contains(s.GetFiles(), stdinName) {
		return nil
	}
	r.unnamed = r.spec.GetStages()[0].GetSql() != ""
	path, err := r.stdinFile(ctx, folder)
	if err != nil {
		if status, ok := isInterrupted(ctx); ok {
			return &failure{status, context.Cause(ctx)}
		}
		return failed(fmt.Errorf("read standard input: %w", err))
	}
	for i, file := range s.GetFiles() {
		if file == stdinName {
			s.Files[i] = path
		}
	}
	return nil
}

func (r *job) stdinFile(ctx context.Context, folder string) (string, error) {
	if path, ok := redirected(r.app.stdin); ok {
		return path, nil
	}
	file, err := os.OpenFile(filepath.Join(folder, "stdin"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	if err := r.spool(ctx, file); err != nil {
		file.Close()
		return "", err
	}
	return file.Name(), file.Close()
}

// redirected is the file that standard input comes from, when it is one and
// nothing of it was read.
func redirected(stdin *os.File) (string, bool) {
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", stdin.Fd()))
	if err != nil {
		return "", false
	}
	offset, err := stdin.Seek(0, io.SeekCurrent)
	if err != nil || offset != 0 {
		return "", false
	}
	itself, err := stdin.Stat()
	if err != nil || !itself.Mode().IsRegular() {
		return "", false
	}
	named, err := os.Stat(path) // deleted, or another by now
	return path, err == nil && os.SameFile(itself, named)
}

// spool copies standard input until it ends, or ctx does.
func (r *job) spool(ctx context.Context, file *os.File) error {
	var copied atomic.Int64
	r.progress.say(func() string { return "reading standard input: " + size(copied.Load()) })
	defer r.progress.say(nil)
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(file, &countingReader{r.app.stdin, &copied})
		done <- err
	}()
	select {
	case <-ctx.Done(): // the read may never end; the process is about to
		return ctx.Err()
	case err := <-done:
		return err
	}
}

type countingReader struct {
	from io.Reader
	read *atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.read.Add(int64(n))
	return n, err
}
