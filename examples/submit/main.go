// Command submit runs a job as a client does: it submits, watches, and reads the
// result, over the same service for jobs as in a cluster. The coordinator and its
// one worker are in this process here.
//
//	go run ./examples/submit examples/wordcount/*.txt
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/cmd/cli/embedded"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run counts the words of each file.
func run(ctx context.Context, files []string, to io.Writer) error {
	folder, err := embedded.MakeFolder("")
	if err != nil {
		return err
	}
	defer folder.Remove()
	cluster, err := embedded.Start(embedded.Config{Slots: 2, MemoryBytes: 256 << 20, Folder: folder.Path})
	if err != nil {
		return err
	}
	defer cluster.Close()
	return count(ctx, cluster.Client, files, to)
}

// count is the same for any coordinator that a client leads to.
func count(ctx context.Context, client *api.Client, files []string, to io.Writer) error {
	spec := &pb.JobSpec{
		Name:   "words",
		Source: &pb.Source{Files: files},
		Stages: []*pb.Stage{{Processor: &pb.Stage_Command{Command: "wc -w"}}},
	}
	job, err := client.Submit(ctx, spec, "")
	if err != nil {
		return err
	}
	result, err := client.Result(ctx, job.GetId())
	if err != nil {
		return err
	}
	defer result.Close()
	if _, err := io.Copy(to, result); err != nil {
		return err
	}
	for job, err = range client.Watch(ctx, job.GetId()) { // until it has ended
		if err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(to, "%s: %d batches\n", job.GetName(), job.GetStats().GetBatchesDone())
	return err
}
