package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/millrace/millrace/worker/roots"
)

// walker gathers the files below a folder, or those that a pattern matches.
type walker struct {
	ctx   context.Context
	roots *roots.Roots
	files []string
}

// trail is the folders that lead to one, to know when a link leads back.
type trail struct {
	info os.FileInfo
	up   *trail
}

func (t *trail) holds(info os.FileInfo) bool {
	for ; t != nil; t = t.up {
		if os.SameFile(t.info, info) {
			return true
		}
	}
	return false
}

// enter reads a folder's entries, sorted by name; none when its trail holds it
// already.
func (w *walker) enter(path string, up *trail) ([]os.DirEntry, *trail, error) {
	if err := w.ctx.Err(); err != nil {
		return nil, nil, err
	}
	info, err := w.roots.Stat(path)
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	if up.holds(info) {
		return nil, up, nil
	}
	entries, err := w.roots.ReadDir(path)
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	return entries, &trail{info, up}, nil
}

// kind of an entry: a file, a folder, or nothing to be read. Links are
// followed; one that only leads to itself is nothing.
func (w *walker) kind(path string, e os.DirEntry) (file, folder bool, err error) {
	mode := e.Type()
	if mode&fs.ModeSymlink != 0 {
		info, err := w.roots.Stat(path)
		if errors.Is(err, syscall.ELOOP) {
			return false, false, nil
		}
		if err != nil {
			return false, false, unreadable(path, err)
		}
		mode = info.Mode()
	}
	return mode.IsRegular(), mode.IsDir(), nil
}

func hidden(name string) bool { return name[0] == '.' || name[0] == '_' }

// tree adds every file below a folder.
func (w *walker) tree(path string, up *trail) error {
	entries, here, err := w.enter(path, up)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if hidden(e.Name()) {
			continue
		}
		if err := w.leaf(filepath.Join(path, e.Name()), e, here); err != nil {
			return err
		}
	}
	return nil
}

// leaf adds a file, or all that a folder holds.
func (w *walker) leaf(path string, e os.DirEntry, here *trail) error {
	file, folder, err := w.kind(path, e)
	switch {
	case err != nil:
		return err
	case file:
		w.files = append(w.files, path)
	case folder:
		return w.tree(path, here)
	}
	return nil
}

// hasMeta says that a path can be read as a pattern.
func hasMeta(path string) bool { return strings.ContainsAny(path, `*?[{\`) }

// pattern adds the files that a pattern matches; a folder that it matches
// stands for all files in it, as it would on a shell's command line.
func (l *lister) pattern(pattern string) error {
	if !doublestar.ValidatePattern(pattern) {
		return &Problem{Kind: Malformed, Path: pattern, Text: "no such file, and not a pattern: check its brackets and braces"}
	}
	w := walker{ctx: l.ctx, roots: l.roots}
	for _, p := range braces(pattern) {
		if err := w.glob(p); err != nil {
			return err
		}
	}
	slices.SortFunc(w.files, byFolder)
	for _, f := range slices.Compact(w.files) {
		l.hit(f)
	}
	if len(w.files) == 0 {
		return &Problem{Kind: NoMatch, Path: pattern, Text: "no file matches"}
	}
	return nil
}

// byFolder orders paths as a walk meets them.
func byFolder(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		switch {
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		}
		return int(a[i]) - int(b[i])
	}
	return len(a) - len(b)
}

// glob adds what one pattern, without braces around slashes, matches.
func (w *walker) glob(pattern string) error {
	root, rest := ".", pattern
	if filepath.IsAbs(pattern) {
		root, rest = "/", strings.TrimLeft(pattern, "/")
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	parts := slices.DeleteFunc(strings.Split(rest, "/"), func(s string) bool { return s == "" || s == "." })
	parts = slices.CompactFunc(parts, func(a, b string) bool { return a == "**" && b == "**" })
	return w.match(root, parts, nil)
}

// match adds the files below path that the parts of a pattern match.
func (w *walker) match(path string, parts []string, up *trail) error {
	if len(parts) > 0 && !hasMeta(parts[0]) {
		return w.step(filepath.Join(path, parts[0]), parts[1:])
	}
	entries, here, err := w.enter(path, up)
	if err != nil {
		return err
	}
	if parts[0] == "**" && len(parts) > 1 {
		if err := w.match(path, parts[1:], up); err != nil {
			return err
		}
	}
	for _, e := range entries {
		if err := w.matchEntry(path, e, parts, here); err != nil {
			return err
		}
	}
	return nil
}

// step follows a part without wildcards, whether or not it is there. Only the
// last of several is looked at: those around a root are not to be seen.
func (w *walker) step(path string, parts []string) error {
	if len(parts) > 0 && !hasMeta(parts[0]) {
		return w.step(filepath.Join(path, parts[0]), parts[1:])
	}
	info, err := w.roots.Stat(path)
	switch {
	case err != nil && missing(err):
		return nil
	case err != nil:
		return unreadable(path, err)
	case len(parts) == 0 && info.Mode().IsRegular():
		w.files = append(w.files, path)
	case len(parts) == 0 && info.IsDir():
		return w.tree(path, nil)
	case info.IsDir():
		return w.match(path, parts, nil)
	}
	return nil
}

func (w *walker) matchEntry(dir string, e os.DirEntry, parts []string, here *trail) error {
	name, path := e.Name(), filepath.Join(dir, e.Name())
	if hidden(name) && parts[0][0] != name[0] {
		return nil
	}
	if parts[0] != "**" {
		if ok, _ := doublestar.Match(parts[0], name); !ok {
			return nil
		}
	}
	if len(parts) == 1 {
		return w.leaf(path, e, here)
	}
	if _, folder, err := w.kind(path, e); err != nil || !folder {
		return err
	}
	if parts[0] == "**" {
		return w.match(path, parts, here)
	}
	return w.match(path, parts[1:], here)
}

// braces expands the alternatives of a pattern where any of them crosses
// folders; doublestar matches the others.
func braces(pattern string) []string {
	if !crossing(pattern) {
		return []string{pattern}
	}
	open := strings.IndexByte(pattern, '{')
	var alternatives []string
	depth, start, end := 0, open+1, -1
	for i := open; i < len(pattern) && end < 0; i++ {
		switch c := pattern[i]; {
		case c == '{':
			depth++
		case c == '}' && depth == 1:
			end = i
			alternatives = append(alternatives, pattern[start:i])
		case c == '}':
			depth--
		case c == ',' && depth == 1:
			alternatives = append(alternatives, pattern[start:i])
			start = i + 1
		}
	}
	if end < 0 {
		return []string{pattern}
	}
	var out []string
	for _, a := range alternatives {
		out = append(out, braces(pattern[:open]+a+pattern[end+1:])...)
	}
	return out
}

// crossing says that a pattern has a slash inside braces.
func crossing(pattern string) bool {
	depth := 0
	for i := range len(pattern) {
		switch pattern[i] {
		case '\\':
			return false
		case '{':
			depth++
		case '}':
			depth--
		case '/':
			if depth > 0 {
				return true
			}
		}
	}
	return false
}
