package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// Commit moves the winners, given in source order, in place as part-00000 and
// so on, and marks success. It can be done again after it was interrupted at
// any point, with the same winners.
func (f *Folder) Commit(winners []*pb.OutputRef) error {
	names := make(map[string]bool, len(winners))
	for i := range winners {
		names[f.name(i, len(winners))] = true
	}
	if unseen := f.seen(); unseen != nil {
		if f.complete(winners, names) {
			return nil // only the answer to an earlier commit was lost
		}
		return unseen
	}
	if err := f.roots.MkdirAll(f.path); err != nil {
		return f.unusable("can't be made", err)
	}
	if f.overwrite {
		if err := f.clear(names); err != nil {
			return err
		}
	}
	for i, ref := range winners {
		if err := f.place(ref, f.name(i, len(winners))); err != nil {
			return err
		}
	}
	return f.finish()
}

// complete says that a commit of these winners has come to its end: nothing but
// the files that they are is in the folder, and the mark of success.
func (f *Folder) complete(winners []*pb.OutputRef, names map[string]bool) bool {
	entries, err := f.roots.ReadDir(f.path)
	if err != nil || len(entries) != len(names)+1 {
		return false
	}
	for _, entry := range entries {
		if !names[entry.Name()] && entry.Name() != SuccessMark {
			return false
		}
	}
	for i, ref := range winners {
		if !f.inPlace(ref, f.name(i, len(winners))) {
			return false
		}
	}
	return true
}

// name is that of a file among all of them: sorted by name they are in order.
func (f *Folder) name(i, all int) string {
	digits := max(5, len(strconv.Itoa(all-1)))
	return fmt.Sprintf("part-%0*d%s", digits, i, f.extension)
}

// clear removes what was in the folder, its mark of success first, except what
// the winners replace anyway: those may be in place already.
func (f *Folder) clear(keep map[string]bool) error {
	entries, err := f.roots.ReadDir(f.path)
	if err != nil {
		return fmt.Errorf("clear the output folder: %w", err)
	}
	if err := f.roots.RemoveAll(filepath.Join(f.path, SuccessMark)); err != nil {
		return fmt.Errorf("clear the output folder: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(f.path, entry.Name())
		if strings.HasPrefix(entry.Name(), filepath.Base(f.aside)) || keep[entry.Name()] {
			continue
		}
		if err := f.seen(); err != nil {
			return err // another has committed meanwhile: what is here now is not for this one to remove
		}
		if err := f.roots.RemoveAll(path); err != nil {
			return fmt.Errorf("clear the output folder: %w", err)
		}
	}
	return nil
}

// place moves a winner to its name. A winner that is not aside any more must be
// in place, from an earlier try at this commit.
func (f *Folder) place(ref *pb.OutputRef, name string) error {
	from := filepath.Join(f.aside, filepath.Base(ref.GetPath()))
	err := f.roots.Rename(from, filepath.Join(f.path, name))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if f.inPlace(ref, name) {
		return nil
	}
	return processor.InputGone("the output file %s is gone", from)
}

// inPlace says that a winner has its name.
func (f *Folder) inPlace(ref *pb.OutputRef, name string) bool {
	info, err := f.roots.Stat(filepath.Join(f.path, name))
	return err == nil && info.Size() == ref.GetBytes()
}

// finish marks success, and only then removes what lies aside: who does the
// commit again without finding the marker there finds the mark.
func (f *Folder) finish() error {
	if err := f.roots.WriteFile(filepath.Join(f.path, SuccessMark), nil); err != nil {
		return fmt.Errorf("mark the output as complete: %w", err)
	}
	if err := f.sync(); err != nil {
		return err
	}
	strays, err := f.strays()
	if err != nil {
		return err
	}
	for _, path := range append(strays, f.aside) {
		if err := f.roots.RemoveAll(path); err != nil {
			return fmt.Errorf("remove the files of lost attempts: %w", err)
		}
	}
	return nil
}

// sync sees the folder's names onto the disk.
func (f *Folder) sync() error {
	dir, err := f.roots.Open(f.path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Discard removes what attempts left aside; for jobs that ended without a
// commit. The folder itself goes too when it was made for them and it is empty.
// Nothing else is touched: the path may name a file of the user's.
func (f *Folder) Discard() error {
	if info, err := f.roots.Lstat(f.aside); err != nil || !info.IsDir() {
		return nil // no attempt has written
	}
	_, err := f.roots.Lstat(filepath.Join(f.aside, madeMark))
	made := err == nil
	strays, err := f.strays()
	for _, path := range append(strays, f.aside) {
		err = errors.Join(err, f.roots.RemoveAll(path))
	}
	if info, statErr := f.roots.Lstat(f.path); made && statErr == nil && info.IsDir() {
		f.roots.Remove(f.path) // it stays when it holds something
	}
	return err
}
