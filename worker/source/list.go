package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/roots"
)

// MaxFragments is how many fragments a source may have.
const MaxFragments = 1_000_000

// List finds the fragments of a source, in the order in which its entries are
// given; those of a folder (read with all folders below) or a pattern are
// sorted by name, folder by folder. An existing path is taken as it is, even
// when it reads like a pattern. Names that begin with a dot or an underscore
// are left out of folders and patterns, unless the pattern's part begins with
// the same character. A file is read once however many folders and patterns
// hold it, and as often as its own path is given when that is more. Links are
// followed, but for one that leads back to a folder it lies in.
//
// Fragments of files have path, size and modification time; Sniff completes
// them. Errors are *Problem.
func List(ctx context.Context, src *pb.Source, o Options) ([]*pb.Fragment, error) {
	switch {
	case src.GetRange() != nil:
		return listRange(src.GetRange())
	case len(src.GetRecords()) > 0:
		return listRecords(src.GetRecords())
	case src.GetStdin():
		return nil, &Problem{Kind: Unsupported, Path: "-", Text: "standard input reaches workers as a file only"}
	case len(src.GetFiles()) == 0:
		return nil, &Problem{Kind: Malformed, Path: "source", Text: "names no files, records or range"}
	}
	return listFiles(ctx, src.GetFiles(), o)
}

func listRange(r *pb.IntegerRange) ([]*pb.Fragment, error) {
	n := r.GetTo() - r.GetFrom()
	if n < 0 {
		return nil, &Problem{Kind: Malformed, Path: "range", Text: fmt.Sprintf("it ends at %d, before its start %d", r.GetTo(), r.GetFrom())}
	}
	return []*pb.Fragment{recordsFragment(n)}, nil
}

func listRecords(records []string) ([]*pb.Fragment, error) {
	for i, r := range records {
		if strings.ContainsRune(r, '\n') {
			return nil, &Problem{Kind: Malformed, Path: "records", Text: fmt.Sprintf("record %d holds a newline: each is one line", i+1)}
		}
	}
	return []*pb.Fragment{recordsFragment(int64(len(records)))}, nil
}

func recordsFragment(n int64) *pb.Fragment {
	return &pb.Fragment{Unit: pb.Unit_UNIT_RECORDS, Extent: max(n, 1), Records: n, Compression: pb.Compression_COMPRESSION_NONE}
}

func listFiles(ctx context.Context, entries []string, o Options) ([]*pb.Fragment, error) {
	l := &lister{ctx: ctx, roots: o.Roots, explicit: map[string]bool{}}
	for _, entry := range entries {
		if err := l.entry(entry); err != nil {
			return nil, err
		}
	}
	return l.fragments(o.threads())
}

// lister gathers the files of a source.
type lister struct {
	ctx   context.Context
	roots *roots.Roots
	files []found
	// explicit has every file found so far, and whether it was named itself.
	explicit map[string]bool
}

// found is a file, and what is known of it without asking again.
type found struct {
	path string
	info os.FileInfo // nil when it wasn't asked for
}

func (l *lister) entry(entry string) error {
	if entry == "" {
		return &Problem{Kind: Malformed, Path: `""`, Text: "an empty path names nothing"}
	}
	if err := l.roots.Check(entry); err != nil {
		return outside(entry, err)
	}
	path, err := filepath.Abs(entry)
	if err != nil {
		return &Problem{Kind: Unreadable, Path: entry, Text: "can't be made absolute", Err: err}
	}
	info, err := l.roots.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return l.folder(path, entry)
	case err == nil:
		return l.named(path, info)
	case hasMeta(entry) && (missing(err) || isOutside(err)):
		return l.pattern(entry)
	case !missing(err):
		return unreadable(entry, err)
	}
	if _, err := l.roots.Lstat(path); err == nil {
		return &Problem{Kind: Unreadable, Path: entry, Text: "is a link to nothing"}
	}
	return &Problem{Kind: NoMatch, Path: entry, Text: "no such file or folder"}
}

// missing says that a path names nothing; an odd name or a pattern may be too
// long for the file system, or pass through a file.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) ||
		errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.EINVAL)
}

func isOutside(err error) bool {
	var out *roots.Outside
	return errors.As(err, &out)
}

// outside is about a path that is not served.
func outside(path string, err error) *Problem {
	kind := Outside
	if !filepath.IsAbs(path) {
		kind = Unsupported // for no worker would it be another
	}
	return &Problem{Kind: kind, Path: path, Text: "can't be used", Err: err}
}

func unreadable(path string, err error) *Problem {
	if isOutside(err) {
		return outside(path, err)
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err // the path is said already
	}
	return &Problem{Kind: Unreadable, Path: path, Text: "can't be read", Err: err}
}

// named adds a file that was named by its own path.
func (l *lister) named(path string, info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return &Problem{Kind: Unsupported, Path: path, Text: "is neither a file nor a folder"}
	}
	explicit, known := l.explicit[path]
	l.explicit[path] = true
	if known && !explicit {
		return nil
	}
	l.files = append(l.files, found{path, info})
	return nil
}

// hit adds a file that a folder or a pattern holds.
func (l *lister) hit(path string) {
	if _, known := l.explicit[path]; !known {
		l.explicit[path] = false
		l.files = append(l.files, found{path: path})
	}
}

func (l *lister) folder(path, entry string) error {
	w := walker{ctx: l.ctx, roots: l.roots}
	if err := w.tree(path, nil); err != nil {
		return err
	}
	for _, f := range w.files {
		l.hit(f)
	}
	if len(w.files) == 0 {
		return &Problem{Kind: NoMatch, Path: entry, Text: "the folder holds no files (hidden ones don't count)"}
	}
	return nil
}

// fragments asks for the size and time of every file, several at once.
func (l *lister) fragments(threads int) ([]*pb.Fragment, error) {
	if len(l.files) > MaxFragments {
		return nil, &Problem{Kind: Unsupported, Path: l.files[0].path, Text: fmt.Sprintf("the source holds %d files, more than %d", len(l.files), MaxFragments)}
	}
	for _, f := range l.files {
		if !utf8.ValidString(f.path) {
			return nil, &Problem{Kind: Unsupported, Path: strconv.Quote(f.path), Text: "the name is not UTF-8 text: rename the file, or leave it out"}
		}
	}
	out := make([]*pb.Fragment, len(l.files))
	err := each(l.ctx, len(l.files), threads, func(i int) error {
		f := l.files[i]
		if f.info == nil {
			info, err := l.roots.Stat(f.path)
			if err != nil {
				return unreadable(f.path, err)
			}
			f.info = info
		}
		out[i] = fileFragment(f.path, f.info)
		return nil
	})
	return out, err
}

func fileFragment(path string, info os.FileInfo) *pb.Fragment {
	return &pb.Fragment{
		Path: path, SizeBytes: info.Size(), ModifiedUnixNanos: info.ModTime().UnixNano(),
		Unit: pb.Unit_UNIT_BYTES, Extent: max(info.Size(), 1), Records: -1,
	}
}

// each calls f for 0 to n-1 on several threads, each with a run of neighbours
// at a time, and returns the error of the smallest index that was tried.
func each(ctx context.Context, n, threads int, f func(i int) error) error {
	return eachRun(ctx, n, 64, threads, f)
}

// eachOne is each for calls that are long.
func eachOne(ctx context.Context, n, threads int, f func(i int) error) error {
	return eachRun(ctx, n, 1, threads, f)
}

func eachRun(ctx context.Context, n, run, threads int, f func(i int) error) error {
	var g errgroup.Group
	g.SetLimit(max(threads, 1))
	errs := make([]error, (n+run-1)/run)
	for k := range errs {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			for i := k * run; i < min(n, (k+1)*run); i++ {
				if errs[k] = f(i); errs[k] != nil {
					return errs[k]
				}
			}
			return nil
		})
	}
	if g.Wait() == nil {
		return ctx.Err()
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
