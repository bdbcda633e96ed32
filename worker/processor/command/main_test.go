package command

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(warmTest) != "":
		beWarm()
	case os.Getenv(workerTest) != "":
		beWorker()
	default:
		os.Exit(m.Run())
	}
}

// workerTest asks the test's binary to be a worker that runs a family.
const workerTest = "COMMAND_TEST_WORKER"

func beWorker() {
	s := New(&pb.CommandStep{Argv: []string{family + "echo $$; wait"}, Options: &pb.CommandOptions{Shell: true}})
	a := processor.Attempt{Threads: 1}
	out := &lineSink{line: func(line string) { fmt.Println(line) }}
	if err := s.Run(context.Background(), &a, texts(""), out); err != nil {
		panic(err)
	}
}

// family starts a child, a grandchild and one that leaves the process group and
// the session, and prints their numbers.
const family = `
	sleep 1000 & echo $!
	sh -c 'sleep 1000 & echo $!; wait' &
	setsid sh -c 'echo $$; exec sleep 1000' &
`

// lineSink gives each line to a function.
type lineSink struct {
	sink
	pending string
	line    func(string)
}

func (s *lineSink) Write(p []byte) (int, error) {
	s.pending += string(p)
	for {
		line, rest, ok := strings.Cut(s.pending, "\n")
		if !ok {
			return len(p), nil
		}
		s.pending = rest
		s.line(line)
	}
}
