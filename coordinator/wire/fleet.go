package wire

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/coordinator/ledger"
)

// Worker is how a worker is, as far as the ledger knows.
func Worker(v ledger.WorkerView) *pb.Worker {
	return &pb.Worker{
		Name:           string(v.Name),
		State:          pb.WorkerState(v.State),
		Reason:         v.Reason,
		SessionOpinion: pb.SessionOpinion(v.Session),
		GossipOpinion:  pb.GossipOpinion(v.Gossip),
		Slots:          uint32(v.Slots),
		Running:        uint32(v.Running),
		Waiting:        uint32(v.Waiting),
		MemoryBytes:    v.Memory,
		Labels:         labels(v.Labels),
		Zone:           v.Zone,
		Processors:     v.Processors,
		Incarnation:    v.Incarnation,
		Attached:       since(v.Attached),
		Heard:          since(v.Heard),
		Done:           v.Done,
		Failed:         v.Failed,
	}
}

// labels undoes Labels.
func labels(list []ledger.Label) map[string]string {
	if len(list) == 0 {
		return nil
	}
	m := make(map[string]string, len(list))
	for _, l := range list {
		m[l.Key] = l.Value
	}
	return m
}

// since is a moment, absent when it never was.
func since(t ledger.Time) *timestamppb.Timestamp {
	if t == 0 {
		return nil
	}
	return Moment(t)
}
