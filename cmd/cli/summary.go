package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	pb "github.com/millrace/millrace/api/millracev1"
)

// summary is what happened, as --stats writes it. Times are in seconds, memory
// is in bytes. Memory and slots are those of `run`: a cluster's are not known
// here.
type summary struct {
	Job             string           `json:"job"`
	Name            string           `json:"name,omitempty"`
	State           string           `json:"state"`
	Batches         int64            `json:"batches"`
	Merges          int64            `json:"merges"`
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
	Elapsed         float64          `json:"elapsed_seconds"` // of the job
	Wall            float64          `json:"wall_seconds"`    // and until its result was written
	PeakMemory      int64            `json:"peak_memory_bytes,omitempty"`
	PeakChildMemory int64            `json:"peak_child_memory_bytes,omitempty"`
	Slots           int              `json:"slots,omitempty"`
	Counters        map[string]int64 `json:"counters,omitempty"`
	Output          string           `json:"output,omitempty"`       // the folder of the result
	OutputFiles     int              `json:"output_files,omitempty"` // how many are in it
	Notes           []string         `json:"notes,omitempty"`
	Failure         string           `json:"failure,omitempty"`

	wall, delay time.Duration
}

func (r *job) summarize(last *pb.Job) summary {
	stats := last.GetStats()
	counters := stats.GetCounters()
	var own, child int64
	if r.options.slots > 0 {
		own, child = peakMemory()
	}
	wall := time.Since(r.started)
	folder, files := r.written(last)
	return summary{
		Output: folder, OutputFiles: files,
		Job: last.GetId(), Name: last.GetName(), State: stateName(last.GetState()),
		Batches: stats.GetBatchesDone(), Merges: stats.GetMerges(),
		RecordsIn: counters.GetRecordsIn(), BytesIn: counters.GetBytesIn(),
		RecordsOut: counters.GetRecordsOut(), BytesOut: counters.GetBytesOut(),
		RecordsSkipped: counters.GetRecordsSkipped(), Counters: counters.GetCustom(),
		Retries: stats.GetRetries(), Wasted: stats.GetWasted(),
		BatchSize: stats.GetBatchRecords(), BatchTime: stats.GetBatchTime().AsDuration().Seconds(),
		ProcessingSpeed: stats.GetRecordsPerSecond(), DelayTime: stats.GetDelayTime().AsDuration().Seconds(),
		Elapsed: stats.GetElapsed().AsDuration().Seconds(), PeakMemory: own, PeakChildMemory: child,
		Slots: r.options.slots, Notes: last.GetNotes(), Failure: last.GetFailure().GetMessage(),
		Wall: wall.Seconds(), wall: wall, delay: stats.GetDelayTime().AsDuration(),
	}
}

// written is the folder of a job's result, and how many files a job that is done
// has put there.
func (r *job) written(last *pb.Job) (folder string, files int) {
	folder = r.spec.GetSink().GetFiles().GetFolder()
	if folder == "" || last.GetState() != pb.JobState_JOB_STATE_DONE {
		return "", 0
	}
	parts, err := os.ReadDir(folder)
	if err != nil {
		return folder, 0
	}
	for _, part := range parts {
		if strings.HasPrefix(part.Name(), "part-") {
			files++
		}
	}
	return folder, files
}

// String is the summary in one line.
func (s summary) String() string {
	if s.Batches == 0 && s.Retries == 0 {
		return fmt.Sprintf("%s in %s", s.State, rounded(s.wall)) // nothing was done
	}
	parts := []string{
		count(s.Batches, "batch", "batches"),
		count(s.RecordsIn, "record", "records"),
		size(s.BytesIn),
		count(s.Retries, "retry", "retries"),
		"batch size " + count(int64(s.BatchSize), "record", "records"),
		"processing speed " + short(s.ProcessingSpeed) + " records/s",
		"delay time " + rounded(s.delay),
	}
	if s.PeakMemory > 0 {
		parts = append(parts, "peak memory "+size(s.PeakMemory))
	}
	if s.PeakChildMemory > 0 {
		parts = append(parts, "of a program "+size(s.PeakChildMemory))
	}
	return fmt.Sprintf("%s in %s: %s", s.State, rounded(s.wall), strings.Join(parts, ", "))
}
