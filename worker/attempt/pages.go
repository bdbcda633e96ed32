package attempt

import (
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/source"
)

// checkPages fails when a Parquet file's own checksums say that it is damaged:
// what reads it would take what there is.
func (r *Runner) checkPages(lease *pb.Lease, job *pb.JobContext) error {
	if job.GetPlan().GetFormat() != pb.Format_FORMAT_PARQUET {
		return nil
	}
	for _, split := range lease.GetSplits() {
		if err := source.CheckPages(split, r.files()); err != nil {
			return err
		}
	}
	return nil
}
