package planner

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/roots"
	"github.com/millrace/millrace/worker/sink"
)

// What one worker does not see another may; what is wrong for all is final.
func TestFailuresOfFiles(t *testing.T) {
	base := t.TempDir()
	if err := errors.Join(os.Mkdir(base+"/root", 0o755), os.WriteFile(base+"/root/a.txt", []byte("x\n"), 0o644), os.Mkdir(base+"/root/full", 0o755),
		os.WriteFile(base+"/root/full/x", nil, 0o644), os.Symlink("/etc", base+"/root/etc")); err != nil {
		t.Fatal(err)
	}
	r, err := roots.Open([]string{base + "/root"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fatal, gone := pb.OutcomeClass_OUTCOME_CLASS_FATAL, pb.OutcomeClass_OUTCOME_CLASS_INPUT_GONE
	for _, c := range []struct {
		file, folder string
		class        pb.OutcomeClass
	}{
		{"root/a.txt", "", 0}, {"root/a.txt", "root/out", 0},
		{"root/b.txt", "", gone}, {"root/*.csv", "", gone}, {"a.txt", "", gone}, {"root/etc/passwd", "", gone},
		{"root/[", "", fatal},
		{"root/a.txt", "root/full", fatal}, {"root/a.txt", "out", gone}, {"root/a.txt", "root/etc/out", gone}, {"root/b.txt", "root/out2", gone},
	} {
		job := &pb.JobContext{JobId: "job", Spec: &pb.JobSpec{
			Source: &pb.Source{Files: []string{filepath.Join(base, c.file)}},
			Stages: []*pb.Stage{{Processor: &pb.Stage_Command{Command: "cat"}}},
		}}
		if c.folder != "" {
			job.Spec.Sink = &pb.Sink{Files: &pb.FileSink{Folder: filepath.Join(base, c.folder)}}
		}
		plan, err := Plan(t.Context(), job, Deps{Roots: r})
		var failure *processor.Failure
		switch {
		case c.class == 0 && (err != nil || (plan.GetSinkMarker() == "") != (c.folder == "")):
			t.Errorf("%s to %s: %v, %v", c.file, c.folder, plan, err)
		case c.class != 0 && (!errors.As(err, &failure) || failure.Class != c.class || !strings.Contains(err.Error(), base)):
			t.Errorf("%s to %s: %v", c.file, c.folder, err)
		}
		job.Plan = plan
		if _, err := sink.In(r, job).Begin(1, "w", "x"); c.class == 0 && c.folder != "" && err != nil {
			t.Errorf("%s: who reads the plan does not know the folder: %v", c.folder, err)
		}
	}
	if _, err := os.Stat(base + "/root/out2"); err == nil {
		t.Error("a job that can't be planned has made its folder")
	}
}
