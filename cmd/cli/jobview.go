package cli

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/millrace/millrace/api/millracev1"
)

// jobJSON is a job as JSON. Times are in seconds, sizes are in bytes.
type jobJSON struct {
	ID              string           `json:"id"`
	Name            string           `json:"name"`
	User            string           `json:"user"`
	State           string           `json:"state"`
	Paused          bool             `json:"paused"`
	Submitted       *time.Time       `json:"submitted,omitempty"`
	Ended           *time.Time       `json:"ended,omitempty"`
	Kept            bool             `json:"kept"`
	Expires         *time.Time       `json:"expires,omitempty"`
	ResultBytes     int64            `json:"result_bytes"`
	Batches         int64            `json:"batches"`
	BatchesRunning  int64            `json:"batches_running"`
	BatchesRerun    int64            `json:"batches_rerun"`
	Merges          int64            `json:"merges"`
	PositionsDone   int64            `json:"positions_done"`
	PositionsTotal  int64            `json:"positions_total"`
	RecordsIn       int64            `json:"records_in"`
	BytesIn         int64            `json:"bytes_in"`
	RecordsOut      int64            `json:"records_out"`
	BytesOut        int64            `json:"bytes_out"`
	RecordsSkipped  int64            `json:"records_skipped"`
	Retries         int64            `json:"retries"`
	Wasted          int64            `json:"wasted"`
	BatchSize       float64          `json:"batch_size_records"`
	BatchTime       float64          `json:"batch_time_seconds"`
	ProcessingSpeed float64          `json:"processing_speed_records_per_second"`
	DelayTime       float64          `json:"delay_time_seconds"`
	Elapsed         float64          `json:"elapsed_seconds"`
	Remaining       *float64         `json:"remaining_seconds,omitempty"`
	Counters        map[string]int64 `json:"counters,omitempty"`
	Notes           []string         `json:"notes,omitempty"`
	Failure         *failureJSON     `json:"failure,omitempty"`
	Waiting         []string         `json:"waiting,omitempty"` // in get and watch
}

// failureJSON is why a job failed.
type failureJSON struct {
	Message    string    `json:"message"`
	Class      string    `json:"class"`
	ExitStatus int32     `json:"exit_status,omitempty"`
	Signal     string    `json:"signal,omitempty"`
	Detail     string    `json:"detail,omitempty"`
	BadRecords []badJSON `json:"bad_records,omitempty"`
}

// badJSON is a record that could not be read.
type badJSON struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Record string `json:"record"`
	Reason string `json:"reason"`
}

// viewJob is a job as JSON.
func viewJob(job *pb.Job) jobJSON {
	stats, counters := job.GetStats(), job.GetStats().GetCounters()
	v := jobJSON{
		ID: job.GetId(), Name: job.GetName(), User: job.GetUser(), State: stateName(job.GetState()), Paused: job.GetPaused(),
		Submitted: timeOf(job.GetSubmitted()), Ended: timeOf(job.GetEnded()),
		Kept: job.GetKept(), Expires: timeOf(job.GetExpires()), ResultBytes: job.GetResultBytes(),
		Batches: stats.GetBatchesDone(), BatchesRunning: stats.GetBatchesRunning(), BatchesRerun: stats.GetBatchesRerun(),
		Merges: stats.GetMerges(), PositionsDone: stats.GetPositionsDone(), PositionsTotal: stats.GetPositionsTotal(),
		RecordsIn: counters.GetRecordsIn(), BytesIn: counters.GetBytesIn(),
		RecordsOut: counters.GetRecordsOut(), BytesOut: counters.GetBytesOut(),
		RecordsSkipped: counters.GetRecordsSkipped(), Counters: counters.GetCustom(),
		Retries: stats.GetRetries(), Wasted: stats.GetWasted(),
		BatchSize: stats.GetBatchRecords(), BatchTime: stats.GetBatchTime().AsDuration().Seconds(),
		ProcessingSpeed: stats.GetRecordsPerSecond(), DelayTime: stats.GetDelayTime().AsDuration().Seconds(),
		Elapsed: stats.GetElapsed().AsDuration().Seconds(), Notes: job.GetNotes(),
	}
	if left := stats.GetRemaining(); left != nil {
		seconds := left.AsDuration().Seconds()
		v.Remaining = &seconds
	}
	if job.GetState() == pb.JobState_JOB_STATE_FAILED {
		v.Failure = viewFailure(job)
	}
	return v
}

func viewFailure(job *pb.Job) *failureJSON {
	f := job.GetFailure()
	v := &failureJSON{
		Message: f.GetMessage(), Class: enumWord(job.GetFailureClass().String(), "OUTCOME_CLASS_"),
		ExitStatus: max(f.GetExitStatus(), 0), Signal: f.GetSignal(), Detail: f.GetDetail(),
	}
	for _, bad := range f.GetBadRecords() {
		v.BadRecords = append(v.BadRecords, badJSON{bad.GetFile(), bad.GetOffset(), bad.GetRecord(), bad.GetReason()})
	}
	return v
}

// timeOf is a time; nil for none.
func timeOf(at *timestamppb.Timestamp) *time.Time {
	if at == nil {
		return nil
	}
	t := at.AsTime()
	return &t
}

// stateName is a state in lowercase: done.
func stateName(state pb.JobState) string { return enumWord(state.String(), "JOB_STATE_") }
