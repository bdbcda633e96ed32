package attempt

import (
	"google.golang.org/protobuf/proto"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// maxPlan bounds a plan, in bytes: what else is in a message fits with it into
// the 64 MiB that one may have.
const maxPlan = 60 << 20

// checkPlan fails when a plan can't be told. It would break the session, and
// the next one again.
func checkPlan(plan *pb.Plan) error {
	encoded, err := proto.Marshal(plan)
	if err != nil {
		return processor.Fatal("the plan can't be told, since it holds a name that is not UTF-8 (of a column, say): %v", err)
	}
	if len(encoded) > maxPlan {
		return processor.Fatal("the plan is too large, with %d bytes for %d files (at most %d bytes): "+
			"give the files in several jobs, or join small ones", len(encoded), len(plan.GetFragments()), maxPlan)
	}
	return nil
}
