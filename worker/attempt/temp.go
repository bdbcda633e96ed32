package attempt

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// tempFolder is a folder for one attempt. Most attempts need none, and making
// one takes longer than a small batch: it is made when it is asked for.
type tempFolder struct {
	parent string

	mu   sync.Mutex
	path string
}

func (t *tempFolder) make() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.path != "" {
		return t.path, nil
	}
	path, err := os.MkdirTemp(t.parent, "temp-")
	if err != nil {
		return "", fmt.Errorf("make a folder for temporary files: %w", err)
	}
	t.path = path
	return path, nil
}

func (t *tempFolder) remove() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.path == "" {
		return
	}
	if err := os.RemoveAll(t.path); err != nil {
		slog.Warn("temporary files could not be removed", "folder", t.path, "error", err)
	}
}
