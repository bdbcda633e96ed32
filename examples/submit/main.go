// Command submit runs a job as a client of a cluster does: it submits, watches,
// and reads the result. The files are read by the workers, where they are.
//
//	go run ./examples/submit 127.0.0.1:7400 examples/wordcount/*.txt
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: submit HOST:PORT file…")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run counts the words of each file on the cluster whose coordinator is at
// server.
func run(ctx context.Context, server string, files []string, to io.Writer) error {
	client, err := api.Dial(server)
	if err != nil {
		return err
	}
	defer client.Close()
	for i, file := range files {
		if files[i], err = filepath.Abs(file); err != nil {
			return err
		}
	}
	return count(ctx, client, files, to)
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
	for job, err = range client.Watch(ctx, job.GetId()) { // until it has ended
		if err != nil {
			return err
		}
	}
	result, err := client.Result(ctx, job.GetId())
	if err != nil {
		return err // the job's own, if it failed
	}
	defer result.Close()
	if _, err := io.Copy(to, result); err != nil {
		return err
	}
	_, err = fmt.Fprintf(to, "%s: %d batches\n", job.GetName(), job.GetStats().GetBatchesDone())
	return err
}
