package fleet

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
)

// maxKeys is how many keys a file may hold.
const maxKeys = 16

// NewKey is a fresh key of 32 bytes as a line for a key file.
func NewKey() string {
	key := make([]byte, 32)
	rand.Read(key) //nolint:errcheck // it never fails
	return base64.StdEncoding.EncodeToString(key)
}

// parseKeys reads a key file's lines: the keys in their order.
func parseKeys(text []byte) ([][]byte, error) {
	var keys [][]byte
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := parseKey(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) }) {
			return nil, fmt.Errorf("line %d: the same key again", n)
		}
		keys = append(keys, key)
	}
	switch err := lines.Err(); {
	case err != nil:
		return nil, err
	case len(keys) == 0:
		return nil, errors.New("no key in it: put one on a line, in base64 or hex, of 16, 24 or 32 bytes")
	case len(keys) > maxKeys:
		return nil, fmt.Errorf("%d keys in it: at most %d", len(keys), maxKeys)
	}
	return keys, nil
}

// parseKey reads one key. The error does not repeat the line, which may be
// nearly right.
func parseKey(line string) ([]byte, error) {
	if key, err := hex.DecodeString(line); err == nil && memberlist.ValidateKey(key) == nil {
		return key, nil
	}
	key, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		key, err = base64.RawStdEncoding.DecodeString(line)
	}
	if err != nil {
		return nil, errors.New("neither base64 nor hex")
	}
	if memberlist.ValidateKey(key) != nil {
		return nil, fmt.Errorf("a key of %d bytes: it must have 16, 24 or 32", len(key))
	}
	return key, nil
}

// keyFile is a key file and the ring that follows it.
type keyFile struct {
	path string
	ring *memberlist.Keyring
	read stamp
	log  *slog.Logger
}

// stamp tells one content of a file from the next, without reading it.
type stamp struct {
	changed time.Time
	size    int64
}

func openKeys(path string, log *slog.Logger) (*keyFile, error) {
	f := &keyFile{path: path, log: log}
	keys, err := f.load()
	if err != nil {
		return nil, fmt.Errorf("gossip key file %s: %w", path, err)
	}
	if f.ring, err = memberlist.NewKeyring(keys, keys[0]); err != nil {
		return nil, fmt.Errorf("gossip key file %s: %w", path, err)
	}
	return f, nil
}

// load reads the file, and takes its stamp before, so that a change between the
// two is seen the next time.
func (f *keyFile) load() ([][]byte, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	f.read = stamp{info.ModTime(), info.Size()}
	if info.Mode().Perm()&0o077 != 0 {
		f.log.Warn("gossip key file can be read by others: chmod 600", "file", f.path)
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	return parseKeys(text)
}

// refresh reads the file again if it has changed. A broken one changes nothing:
// the keys that worked go on.
func (f *keyFile) refresh() {
	info, err := os.Stat(f.path)
	if err == nil && (stamp{info.ModTime(), info.Size()}) == f.read {
		return
	}
	if err != nil && f.read == (stamp{}) {
		return // said so before
	}
	f.read = stamp{}
	keys, err := f.load()
	if err == nil {
		err = f.install(keys)
	}
	if err != nil {
		f.log.Error("gossip keys not changed", "file", f.path, "error", err)
		return
	}
	f.log.Info("gossip keys changed", "file", f.path, "keys", len(keys))
}

// install makes the ring hold keys and no others, the first of them to send
// with. New ones come first, so that nothing is refused meanwhile.
func (f *keyFile) install(keys [][]byte) error {
	for _, key := range keys {
		if err := f.ring.AddKey(key); err != nil {
			return err
		}
	}
	// The ring shifts keys in place when one is removed, while packets are being
	// read with them; not so for the last. The wanted ones are moved before it,
	// last the one to send with.
	for _, key := range slices.Backward(f.wantedOrder(keys)) {
		if err := f.ring.UseKey(key); err != nil {
			return err
		}
	}
	for _, key := range slices.Backward(slices.Clone(f.ring.GetKeys()[len(keys):])) {
		if err := f.ring.RemoveKey(key); err != nil {
			return err
		}
	}
	return nil
}

// wantedOrder is keys, or only the first of them if those to remove are at the
// ring's end anyway.
func (f *keyFile) wantedOrder(keys [][]byte) [][]byte {
	after := slices.DeleteFunc(slices.Clone(f.ring.GetKeys()), func(k []byte) bool { return bytes.Equal(k, keys[0]) })
	for i, key := range after {
		unwanted := !slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) })
		if unwanted && i < len(keys)-1 {
			return keys
		}
	}
	return keys[:1]
}
