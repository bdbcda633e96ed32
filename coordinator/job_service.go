package coordinator

import (
	"cmp"
	"context"

	"google.golang.org/grpc"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
	"github.com/millrace/millrace/coordinator/wire"
	"github.com/millrace/millrace/identity"
)

// Limits of requests.
const (
	maxReason     = 1_000
	defaultListed = 100
	maxListed     = 1_000
)

// jobService is how programs submit jobs and follow them.
type jobService struct {
	pb.UnimplementedJobServiceServer
	c *Coordinator
}

// SubmitJob adds a job.
func (s *jobService) SubmitJob(ctx context.Context, r *pb.SubmitJobRequest) (*pb.SubmitJobResponse, error) {
	if err := checkSubmission(r); err != nil {
		return nil, err
	}
	user := userOf(ctx, r)
	return ask(ctx, s.c, func(o *owner, answer func(*pb.SubmitJobResponse, error)) {
		request := o.await(func(a ledger.Answer) {
			told, err := o.answered(a, r.GetKey())
			if err == nil && !a.Existed {
				o.logger.Info("job submitted", "job", told.GetId(), "name", told.GetName(), "key", r.GetKey(), "user", user)
			}
			answer(&pb.SubmitJobResponse{Job: told, Existed: a.Existed}, err)
		})
		o.step(wire.Submission(request, r, user))
	})
}

// userOf is whose job it is: the certificate says, where there is one.
func userOf(ctx context.Context, r *pb.SubmitJobRequest) string {
	if p, ok := identity.PeerOf(ctx); ok {
		return api.Clip(p.Name, maxName)
	}
	return r.GetUser()
}

// checkSubmission tells everything that is wrong with a submission.
func checkSubmission(r *pb.SubmitJobRequest) error {
	if len(r.GetKey()) > api.MaxKeyBytes {
		return api.Errorf(api.Invalid, "the key has %d bytes; at most %d are allowed", len(r.GetKey()), api.MaxKeyBytes)
	}
	if len(r.GetUser()) > maxName {
		return api.Errorf(api.Invalid, "the user's name has %d bytes; at most %d are allowed", len(r.GetUser()), maxName)
	}
	if d := r.GetKeepFor(); d != nil && (d.CheckValid() != nil || d.AsDuration() < 0 || d.AsDuration() > maxKeep) {
		return api.Errorf(api.Invalid, "the job is to be kept %s; it must be from 0s to %s (--keep, or keep_for)", api.FormatDuration(d.AsDuration()), api.FormatDuration(maxKeep))
	}
	if r.GetSpec() == nil {
		return api.Errorf(api.Invalid, "the request has no job")
	}
	if err := api.Check(r.GetSpec()).Invalid(); err != nil {
		return err
	}
	if r.GetSpec().GetSource().GetStdin() {
		return api.Errorf(api.Invalid, "source.stdin: the client must put its standard input where workers can read it, and submit that as a file")
	}
	return nil
}

// answered is the job that a request was about, once its facts are durable.
func (o *owner) answered(a ledger.Answer, key string) (*pb.Job, error) {
	switch a.Code {
	case ledger.AnswerOK:
		return o.view(a.Job)
	case ledger.AnswerNotFound:
		return nil, o.unknown(a.Job)
	case ledger.AnswerKeyTaken:
		return nil, api.Errorf(api.Invalid, "the key %q belongs to job %s, which differs from this one; choose another key", key, o.c.names.name(a.Job))
	case ledger.AnswerRunning:
		return nil, api.Errorf(api.Conflict, "job %s has not ended; cancel it first", o.c.names.name(a.Job))
	case ledger.AnswerEnded:
		return nil, api.Errorf(api.Conflict, "job %s has ended already", o.c.names.name(a.Job))
	case ledger.AnswerFull:
		return nil, api.Errorf(api.Full, "%d jobs have not ended, and more are not taken (the coordinator's --max-jobs); try again later", o.c.config.MaxJobs)
	}
	return nil, api.Errorf(api.Internal, "the ledger gave an answer of code %d", a.Code)
}

// GetJob tells how a job is.
func (s *jobService) GetJob(ctx context.Context, r *pb.GetJobRequest) (*pb.GetJobResponse, error) {
	id, err := s.c.jobOf(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	told, err := ask(ctx, s.c, func(o *owner, answer func(*pb.Job, error)) { answer(o.view(id)) })
	if err != nil {
		return nil, err
	}
	return &pb.GetJobResponse{Job: told}, nil
}

// ListJobs tells of all jobs, newest first.
func (s *jobService) ListJobs(ctx context.Context, r *pb.ListJobsRequest) (*pb.ListJobsResponse, error) {
	if r.GetLimit() > maxListed {
		return nil, api.Errorf(api.Invalid, "the limit is %d; at most %d jobs are listed", r.GetLimit(), maxListed)
	}
	limit := int(cmp.Or(r.GetLimit(), defaultListed))
	return ask(ctx, s.c, func(o *owner, answer func(*pb.ListJobsResponse, error)) {
		list := &pb.ListJobsResponse{}
		for _, v := range o.ledger.Jobs(limit, o.now) {
			list.Jobs = append(list.Jobs, wire.Job(v, s.c.names.name(v.ID)))
		}
		answer(list, nil)
	})
}

// WatchJob tells how a job is, now and whenever that changes.
func (s *jobService) WatchJob(r *pb.WatchJobRequest, stream grpc.ServerStreamingServer[pb.WatchJobResponse]) error {
	id, err := s.c.jobOf(stream.Context(), r.GetId())
	if err != nil {
		return err
	}
	return s.c.host(stream.Context(), func(ctx context.Context) error { return s.c.watch(ctx, id, stream) })
}

// CancelJob ends a job.
func (s *jobService) CancelJob(ctx context.Context, r *pb.CancelJobRequest) (*pb.CancelJobResponse, error) {
	if len(r.GetReason()) > maxReason {
		return nil, api.Errorf(api.Invalid, "the reason has %d bytes; at most %d are allowed", len(r.GetReason()), maxReason)
	}
	told, err := s.order(ctx, r.GetId(), func(q ledger.RequestID, id ledger.JobID) ledger.Event {
		return ledger.JobCancelled{Request: q, Job: id, Reason: r.GetReason()}
	})
	return &pb.CancelJobResponse{Job: told}, err
}

// PauseJob stops new leases.
func (s *jobService) PauseJob(ctx context.Context, r *pb.PauseJobRequest) (*pb.PauseJobResponse, error) {
	told, err := s.order(ctx, r.GetId(), func(q ledger.RequestID, id ledger.JobID) ledger.Event {
		return ledger.JobPaused{Request: q, Job: id}
	})
	return &pb.PauseJobResponse{Job: told}, err
}

// ResumeJob ends a pause.
func (s *jobService) ResumeJob(ctx context.Context, r *pb.ResumeJobRequest) (*pb.ResumeJobResponse, error) {
	told, err := s.order(ctx, r.GetId(), func(q ledger.RequestID, id ledger.JobID) ledger.Event {
		return ledger.JobResumed{Request: q, Job: id}
	})
	return &pb.ResumeJobResponse{Job: told}, err
}

// order brings the ledger a client's wish for a job, and waits for its answer.
func (s *jobService) order(ctx context.Context, name string, event func(ledger.RequestID, ledger.JobID) ledger.Event) (*pb.Job, error) {
	id, err := s.c.jobOf(ctx, name)
	if err != nil {
		return nil, err
	}
	return ask(ctx, s.c, func(o *owner, answer func(*pb.Job, error)) {
		request := o.await(func(a ledger.Answer) {
			a.Job = id
			answer(o.answered(a, ""))
		})
		o.step(event(request, id))
	})
}

// ExplainJob tells the plan, and why what waits is waiting.
func (s *jobService) ExplainJob(ctx context.Context, r *pb.ExplainJobRequest) (*pb.ExplainJobResponse, error) {
	id, err := s.c.jobOf(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	return ask(ctx, s.c, func(o *owner, answer func(*pb.ExplainJobResponse, error)) {
		v, ok := o.ledger.Job(id, o.now)
		if !ok {
			answer(nil, o.unknown(id))
			return
		}
		answer(wire.Explained(v, o.ledger.Explain(id, o.now)), nil)
	})
}

// ReadResult streams the result of a job without a file sink.
func (s *jobService) ReadResult(r *pb.ReadResultRequest, stream grpc.ServerStreamingServer[pb.ReadResultResponse]) error {
	id, err := s.c.jobOf(stream.Context(), r.GetId())
	if err != nil {
		return err
	}
	return s.c.host(stream.Context(), func(ctx context.Context) error { return s.c.readResult(ctx, id, r, stream) })
}

// LocateResult tells where the parts of a kept result are.
func (s *jobService) LocateResult(r *pb.LocateResultRequest, stream grpc.ServerStreamingServer[pb.LocateResultResponse]) error {
	id, err := s.c.jobOf(stream.Context(), r.GetId())
	if err != nil {
		return err
	}
	return s.c.host(stream.Context(), func(ctx context.Context) error { return s.c.locate(ctx, id, stream) })
}

// RemoveJob forgets a job that has ended, and its result with it.
func (s *jobService) RemoveJob(ctx context.Context, r *pb.RemoveJobRequest) (*pb.RemoveJobResponse, error) {
	id, err := s.c.jobOf(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	return ask(ctx, s.c, func(o *owner, answer func(*pb.RemoveJobResponse, error)) {
		request := o.await(func(a ledger.Answer) {
			if a.Code == ledger.AnswerOK {
				o.graves.bury(id, "it was removed")
				answer(&pb.RemoveJobResponse{}, nil)
				return
			}
			a.Job = id
			_, err := o.answered(a, "")
			answer(nil, err)
		})
		o.step(ledger.JobRemoved{Request: request, Job: id})
	})
}
