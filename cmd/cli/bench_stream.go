package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/session"
)

// What the bare streams are measured with: the messages of a session, with all
// that a lease of an empty batch and its outcome have in them, and nothing that
// decides, remembers or runs anything. As many leases are under way as a worker
// may hold, and both sides write what has gathered.

// bareWindow is how many leases are under way on a stream.
const bareWindow = session.DefaultMaxPrefetch

// bareServer grants leases to whoever attaches, until all are done.
type bareServer struct {
	pb.UnimplementedWorkerServiceServer
	leases  uint64 // in all
	workers int    // streams that share them; none gets any before all are there

	mu       sync.Mutex
	attached int
	granted  uint64
	done     uint64
	began    time.Time
	everyone chan struct{}      // closed when all are there
	finished chan time.Duration // gets how long it took
}

func newBareServer(leases uint64, workers int) *bareServer {
	return &bareServer{
		leases: leases, workers: workers,
		everyone: make(chan struct{}), finished: make(chan time.Duration, 1),
	}
}

// Session serves one stream.
func (s *bareServer) Session(stream grpc.BidiStreamingServer[pb.SessionRequest, pb.SessionResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if err := warmUp(stream); err != nil {
		return err
	}
	s.arrive()
	<-s.everyone
	link := &bareLink[*pb.Outcome]{wake: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() { ended <- s.grant(stream, link, int(first.GetCredit().GetBatches())) }()
	for {
		request, err := stream.Recv()
		if err != nil {
			link.close()
			<-ended
			return nil
		}
		s.finish(len(request.GetOutcomes()))
		link.add(request.GetOutcomes())
	}
}

// warmRounds are how often a stream is filled before anything is timed.
const warmRounds = 3

func warmUp(stream grpc.BidiStreamingServer[pb.SessionRequest, pb.SessionResponse]) error {
	for range warmRounds {
		if err := stream.Send(&pb.SessionResponse{Grants: bareLeases(0, bareWindow)}); err != nil {
			return err
		}
		for answered := 0; answered < bareWindow; {
			request, err := stream.Recv()
			if err != nil {
				return err
			}
			answered += len(request.GetOutcomes())
		}
	}
	return nil
}

func (s *bareServer) arrive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attached++; s.attached == s.workers {
		s.began = time.Now()
		close(s.everyone)
	}
}

func (s *bareServer) finish(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done += uint64(n); s.done == s.leases {
		s.finished <- time.Since(s.began)
	}
}

// take is how many more may be granted, up to n, and the number of the first.
func (s *bareServer) take(n int) (first uint64, many int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first = s.granted
	many = int(min(uint64(n), s.leases-s.granted))
	s.granted += uint64(many)
	return first, many
}

// grant writes grants for all credit that there is, and acknowledgements.
func (s *bareServer) grant(stream grpc.BidiStreamingServer[pb.SessionRequest, pb.SessionResponse], link *bareLink[*pb.Outcome], credit int) error {
	for outcomes := []*pb.Outcome(nil); ; {
		first, many := s.take(credit + len(outcomes))
		response := &pb.SessionResponse{Grants: bareLeases(first, many), Acks: make([]*pb.OutcomeAck, len(outcomes))}
		for i, outcome := range outcomes {
			response.Acks[i] = &pb.OutcomeAck{Fence: outcome.GetFence()}
		}
		if err := stream.Send(response); err != nil {
			return err
		}
		credit = 0
		var open bool
		if outcomes, open = link.take(); !open {
			return nil
		}
	}
}

// bareDigest is as long as a context's.
const bareDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// bareFragment is what a split of a range of integers comes from.
var bareFragment = &pb.Fragment{Extent: 300_000}

func bareLeases(first uint64, many int) []*pb.Lease {
	leases := make([]*pb.Lease, many)
	for i := range leases {
		leases[i] = bareLease(first + uint64(i))
	}
	return leases
}

// bareLease is a lease of an empty batch, as the coordinator grants it.
func bareLease(n uint64) *pb.Lease {
	from, to := int64(n), int64(n+1)
	return &pb.Lease{
		Fence: &pb.Fence{Job: 7, Batch: n + 1, Attempt: 1, Term: 1},
		Kind:  pb.LeaseKind_LEASE_KIND_PROCESS, Context: bareDigest,
		Splits:   []*pb.Split{{From: from, To: to, Source: bareFragment}},
		Position: from, EndPosition: to, CreditBytes: 8,
	}
}

// bareOutcome is what a worker reports of it.
func bareOutcome(lease *pb.Lease) *pb.Outcome {
	return &pb.Outcome{
		Fence: lease.GetFence(), Class: pb.OutcomeClass_OUTCOME_CLASS_DONE,
		Counters: &pb.Counters{RecordsIn: 1, BytesIn: 8}, Elapsed: durationpb.New(20 * time.Microsecond),
	}
}

// bareWorker answers each lease by its outcome until the stream ends.
func bareWorker(ctx context.Context, conn grpc.ClientConnInterface) error {
	stream, err := pb.NewWorkerServiceClient(conn).Session(ctx, grpc.MaxCallRecvMsgSize(1<<30))
	if err != nil {
		return err
	}
	attach := &pb.SessionRequest{Attach: &pb.Attach{Worker: "bare"}, Credit: &pb.Credit{Batches: bareWindow}}
	if err := stream.Send(attach); err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	link := &bareLink[*pb.Outcome]{wake: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() { ended <- report(stream, link) }()
	for {
		response, err := stream.Recv()
		if err != nil {
			link.close()
			<-ended
			if errors.Is(err, io.EOF) || status.Code(err) == codes.Unavailable || ctx.Err() != nil {
				return nil // all is done, and the server gone
			}
			return err
		}
		outcomes := make([]*pb.Outcome, len(response.GetGrants()))
		for i, lease := range response.GetGrants() {
			outcomes[i] = bareOutcome(lease)
		}
		link.add(outcomes)
	}
}

// report writes outcomes, and as much credit.
func report(stream grpc.BidiStreamingClient[pb.SessionRequest, pb.SessionResponse], link *bareLink[*pb.Outcome]) error {
	for {
		outcomes, open := link.take()
		if !open {
			return nil
		}
		request := &pb.SessionRequest{Outcomes: outcomes, Credit: &pb.Credit{Batches: uint32(len(outcomes)), Bytes: 8 * int64(len(outcomes))}}
		if err := stream.Send(request); err != nil {
			return err
		}
	}
}

// bareLink is what gathers while a message is being written.
type bareLink[T any] struct {
	wake chan struct{}

	mu      sync.Mutex
	waiting []T
	closed  bool
}

func (l *bareLink[T]) add(more []T) {
	if len(more) == 0 {
		return
	}
	l.mu.Lock()
	l.waiting = append(l.waiting, more...)
	l.mu.Unlock()
	l.wakeUp()
}

func (l *bareLink[T]) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wakeUp()
}

func (l *bareLink[T]) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take waits until something has gathered, and says whether the link is open.
func (l *bareLink[T]) take() (all []T, open bool) {
	for {
		<-l.wake
		l.mu.Lock()
		all, open = l.waiting, !l.closed
		l.waiting = nil
		l.mu.Unlock()
		if len(all) > 0 || !open {
			return all, open
		}
	}
}
